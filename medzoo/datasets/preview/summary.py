"""What a data set contains: images per class and split, copies, and leaks between splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from medzoo.datasets.dataset import Dataset
from medzoo.datasets.info import SplitName
from medzoo.datasets.leakage import LeakageReport, find_leakage
from medzoo.datasets.split import Split
from medzoo.datasets.validation import check_dataset

_CHUNK = 1024  # images hashed at once


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
    digests = {name: _digests(split) for name, split in splits.items()}
    unique = {name: set(found) for name, found in digests.items()}
    return DatasetPreview(
        title=data.title,
        images={name: len(split) for name, split in splits.items()},
        counts={name: _class_counts(split) for name, split in splits.items()},
        copies={name: len(found) - len(unique[name]) for name, found in digests.items()},
        shared={(a, b): len(unique[a] & unique[b]) for a, b in combinations(unique, 2)},
        leakage=find_leakage(data) if near_duplicates and len(splits) > 1 else None,
    )


def _class_counts(split: Split) -> dict[str, int]:
    """Return the number of images with each label."""
    classes = split.info.classes
    if split.info.multi_label:
        numbers = (split.labels == 1).sum(dim=0)  # unknown ones are NaN
    else:
        numbers = split.labels.bincount(minlength=len(classes))
    return dict(zip(classes, numbers.tolist(), strict=True))


def _digests(split: Split) -> list[bytes]:
    """Return a digest of the pixels of each image."""
    return [
        hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        for chunk in split.chunks(_CHUNK)
        for image in chunk.numpy()
    ]
