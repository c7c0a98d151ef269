"""Where the images of a benchmark come from: MedMNIST files, official splits or others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import medzoo
from medzoo.datasets import disjoint_split, read_groups, resplit

DISJOINT = "disjoint"
"""Name of the variant in which no group is in two splits: of its folders and records."""


@dataclass(frozen=True)
class Source:
    """MedMNIST files, and how they are split.

    Attributes:
        root: Folder of the files; None for the default locations of medzoo.
        groups: CSV file that names the group of each image, such as a lesion. Images are then
            removed from training and validation until no group is in two splits.
        column: Column of that file with the names of the groups.
    """

    root: str | None = None
    groups: str | None = None
    column: str = "lesion_id"

    @property
    def variant(self) -> str:
        """Return the name of the split, or an empty string for the official one."""
        return DISJOINT if self.groups else ""

    def load(self, dataset: str, size: int = 28) -> medzoo.Dataset:
        """Load a data set without its warning, which its title repeats next to every figure.

        Args:
            dataset: Name of the data set.
            size: Height and width of its images, in pixels.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            data = medzoo.load_dataset(dataset, size=size, root=self.root)
            if self.groups is None:
                return data
            return resplit(data, disjoint_split(data, read_groups(self.groups, data, self.column)))
