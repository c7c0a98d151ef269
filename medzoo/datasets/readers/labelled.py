"""What a folder, a table or a Hub's data set comes down to: image files with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medzoo.datasets.info import SplitName
from medzoo.errors import unknown_name
from medzoo.images.batch import ImageFile

SPLIT_OF: dict[str, SplitName] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""What splits are called in folders, tables and on the Hub (in lower case), and here."""


@dataclass(frozen=True)
class LabelledImages:
    """What a source of images comes down to: a row an image.

    Attributes:
        source: Name of the folder, file or collection.
        files: The images.
        labels: Class indices (N,), or zeros and ones (N, L).
        classes: Names of the classes (labels, if multi-label).
        splits: The split of each image; None if the source does not say. ``"val"`` may be missing.
        groups: What each image belongs to (a patient, a lesion); None if the source does not say.
    """

    source: str
    files: Sequence[ImageFile]
    labels: np.ndarray
    classes: Sequence[str]
    splits: Sequence[SplitName] | None = None
    groups: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def has(self, number: int) -> np.ndarray:
        """Return which images have a class or label, (N,).

        Args:
            number: Its place among the classes.
        """
        return self.labels[:, number] == 1 if self.labels.ndim == 2 else self.labels == number


def class_indices(
    labels: Sequence[str], classes: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn names into class indices.

    Args:
        labels: The name of each image's class.
        classes: All classes in their order; by default those that occur, sorted (whole numbers by
            value).

    Returns:
        The indices, int64 (N,), and the classes.

    Raises:
        ValueError: If a label is not among the classes, or two differ in case only.
    """
    found = set(labels)
    if classes is None:
        numbers = all(name.isdecimal() for name in found)
        classes = sorted(found, key=(lambda name: (int(name), name)) if numbers else None)
    for name in sorted(found):
        if name not in classes:
            raise unknown_name("class", name, classes)
    spellings: dict[str, str] = {}
    for name in classes:
        if (other := spellings.setdefault(name.casefold(), name)) != name:
            raise ValueError(
                f"classes {other!r} and {name!r} differ in case only; spell them alike"
            )
    index = {name: number for number, name in enumerate(classes)}
    return np.array([index[name] for name in labels], dtype=np.int64), tuple(classes)
