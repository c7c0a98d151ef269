"""Image files with labels: what a folder, a table and a Hub data set have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medzoo.datasets.info import SplitName
from medzoo.errors import unknown_name
from medzoo.images.batch import ImageFile


@dataclass(frozen=True)
class LabelledImages:
    """A list of image files with one label, split and group per image.

    Attributes:
        source: Name of the folder, file or data set.
        files: The images.
        labels: Class indices (N,), or zeros and ones (N, L), where -1 is unknown.
        classes: Names of the classes (labels, if multi-label).
        splits: The split of each image; None if the source has no splits. Not all of the splits
            have to occur.
        groups: The group (patient, lesion) of each image; None if the source has no groups.
        group_note: Says which column the groups are from; empty for none.
    """

    source: str
    files: Sequence[ImageFile]
    labels: np.ndarray
    classes: Sequence[str]
    splits: Sequence[SplitName] | None = None
    groups: Sequence[str] | None = None
    group_note: str = ""

    def __len__(self) -> int:
        return len(self.files)

    def take(self, rows: Sequence[int]) -> LabelledImages:
        """Return some of the images, with what belongs to them.

        Args:
            rows: Their positions.
        """
        return replace(
            self,
            files=[self.files[row] for row in rows],
            labels=self.labels[rows],
            splits=[self.splits[row] for row in rows] if self.splits else None,
            groups=[self.groups[row] for row in rows] if self.groups else None,
        )

    def label_of(self, row: int) -> str:
        """Return the name of an image's class, or the names of its labels.

        Args:
            row: Its position.
        """
        names = (name for n, name in enumerate(self.classes) if self.has(n)[row])
        return ", ".join(names) or "no label"

    def has(self, number: int) -> np.ndarray:
        """Return which images have a class or label, as booleans (N,).

        Args:
            number: Index of the class.
        """
        return self.labels[:, number] == 1 if self.labels.ndim == 2 else self.labels == number


def class_indices(
    labels: Sequence[str], classes: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert class names into class indices.

    Args:
        labels: Class name of each image.
        classes: All classes in their order; by default those that occur, sorted (by value, if all
            are whole numbers).

    Returns:
        The indices, int64 (N,), and the classes.

    Raises:
        ValueError: If a label is not one of the classes, or two classes differ only in case.
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
                f"classes {other!r} and {name!r} differ only in case; use one spelling"
            )
    index = {name: number for number, name in enumerate(classes)}
    return np.array([index[name] for name in labels], dtype=np.int64), tuple(classes)
