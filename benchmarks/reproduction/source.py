"""Where the images of a benchmark come from: MedMNIST files, official splits or others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import medzoo
from medzoo.datasets import disjoint_split, read_groups, resplit
from medzoo.datasets.info import split_tag
from medzoo.datasets.source import data_root

PARTIAL = "partial"
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

    def load(self, dataset: str, size: int | None = None) -> medzoo.Dataset:
        """Load a data set without its warning, which its title repeats next to every figure.

        A data set of which there is only a part is in the subfolder ``partial`` of the root.

        Args:
            dataset: Name of the data set, or its tag, e.g. ``"dermamnist_64"``.
            size: Height and width of its images, in pixels, if the tag does not say it.
        """
        name, tagged = split_tag(dataset)
        root = data_root(self.root)
        info = medzoo.dataset_info(name)
        file = f"{info.tag(size or tagged)}.npz"
        if not (root / file).is_file() and (root / PARTIAL / file).is_file():
            root /= PARTIAL
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            data = medzoo.load_dataset(name, size=size or tagged, root=root)
            if self.groups is None:
                return data
            return resplit(data, disjoint_split(data, read_groups(self.groups, data, self.column)))
