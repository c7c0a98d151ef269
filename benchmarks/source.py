"""Where a benchmark's images come from: MedMNIST's files, in their own splits or in others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import medzoo
from medzoo.datasets import disjoint_split, read_groups, resplit

DISJOINT = "disjoint"
"""What trainings are called, their folder and their record, in which no group is in two splits."""


@dataclass(frozen=True)
class Source:
    """MedMNIST's files, and how they are divided.

    Attributes:
        root: Folder of the files; None for medzoo's usual places.
        groups: CSV file that says what each image belongs to, such as a lesion. Images are then
            left out of training and validation until no group is in two splits.
        column: Of that file, with the names of the groups.
    """

    root: str | None = None
    groups: str | None = None
    column: str = "lesion_id"

    @property
    def variant(self) -> str:
        """Return what is different from the official splits, in a word; empty if nothing is."""
        return DISJOINT if self.groups else ""

    def load(self, dataset: str, size: int = 28) -> medzoo.Dataset:
        """Load a data set without its warning: its title, on every figure, says what that says.

        Args:
            dataset: Name of the data set.
            size: Of its images.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            data = medzoo.load_dataset(dataset, size=size, root=self.root)
            if self.groups is None:
                return data
            return resplit(data, disjoint_split(data, read_groups(self.groups, data, self.column)))
