"""What all works share: the data, and how thorough to be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import medzoo

DATASET = "dermamnist"


@dataclass(frozen=True)
class Setting:
    """How to measure.

    Attributes:
        folder: Folder with DermaMNIST's file, for medzoo and medmnist alike.
        quick: Whether to be done in about two minutes, with less certain figures.
    """

    folder: Path
    quick: bool = False

    @cached_property
    def data(self) -> medzoo.Dataset:
        """DermaMNIST at 28 x 28."""
        return medzoo.load_dataset(DATASET, root=self.folder)

    @property
    def repeats(self) -> int:
        """Timed rounds of each contestant."""
        return 2 if self.quick else 5

    def small(self, count: int) -> medzoo.Dataset:
        """The data set with its first `count` training and 128 validation images."""
        data = self.data
        train, val = data.train.head(count), data.val.head(128)
        return medzoo.Dataset(data.info, train, val, data.test, data.provenance)
