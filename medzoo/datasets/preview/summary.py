"""What a data set contains: images per class and split, copies, and leaks between splits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from medzoo.datasets.dataset import Dataset
from medzoo.datasets.holdout import image_digests
from medzoo.datasets.info import SplitName
from medzoo.datasets.leakage import LeakageReport, find_leakage
from medzoo.datasets.validation import check_dataset


@dataclass(frozen=True)
class DatasetPreview:
    """What a data set contains.

    Attributes:
        title: Title of the data set.
        images: Number of images of each split.
        counts: Number of images of each class (each label, if multi-label), by split.
        copies: Number of images of each split that are identical to an earlier one in it.
        shared: Number of identical images that two splits share, by both splits.
        leakage: Near-duplicates across splits; None if they were not searched.
    """

    title: str
    images: dict[SplitName, int]
    counts: dict[SplitName, dict[str, int]]
    copies: dict[SplitName, int]
    shared: dict[tuple[SplitName, SplitName], int]
    leakage: LeakageReport | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-safe values."""
        return {
            "title": self.title,
            "images": dict(self.images),
            "counts": {split: dict(counts) for split, counts in self.counts.items()},
            "copies": dict(self.copies),
            "shared": {f"{a}-{b}": count for (a, b), count in self.shared.items()},
            "leakage": self.leakage.to_dict() if self.leakage else None,
        }


def preview(data: Dataset, near_duplicates: bool = True) -> DatasetPreview:
    """Count the images of each class and split, and find copies and leaks.

    Args:
        data: Any data set.
        near_duplicates: Search the splits for images of the same object as well (see
            `find_leakage`), which takes minutes for tens of thousands of images.

    Raises:
        TypeError: If `data` is not a whole data set.

    Example:
        >>> from medzoo import synthetic
        >>> preview(synthetic("breastmnist", n_train=4, n_val=2, n_test=2)).images
        {'train': 4, 'val': 2, 'test': 2}
    """
    check_dataset("data", data)
    splits = data.splits
    digests = {name: image_digests(split) for name, split in splits.items()}
    unique = {name: set(found) for name, found in digests.items()}
    return DatasetPreview(
        title=data.title,
        images={name: len(split) for name, split in splits.items()},
        counts={name: split.class_counts for name, split in splits.items()},
        copies={name: len(found) - len(unique[name]) for name, found in digests.items()},
        shared={(a, b): len(unique[a] & unique[b]) for a, b in combinations(unique, 2)},
        leakage=find_leakage(data) if near_duplicates and len(splits) > 1 else None,
    )
