"""Image files with labels: what a folder, a table and a Hub data set have in common."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from medzoo.datasets.info import SplitName, Task
from medzoo.datasets.names.spelling import differ, fold, is_missing, number_of
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


class UnorderedGradesError(ValueError):
    """The order of grades is not known: an argument is missing, while the source may be right."""


def class_indices(
    labels: Sequence[str],
    classes: Sequence[str] | None,
    task: Task | None = None,
    order: Sequence[str] | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert class names into class indices.

    Args:
        labels: Class name of each image.
        classes: All classes in their order; by default those that occur, in the order of `order`,
            else sorted (by value, if all are numbers).
        task: The task, if it is given; grades need an order.
        order: The order of the classes according to the source, if it has one.

    Returns:
        The indices, int64 (N,), and the classes.

    Raises:
        UnorderedGradesError: If the task is ordinal regression, and nothing says in which order
            the names are.
        ValueError: If a label is not one of the classes, two classes are spellings of one name, or
            a name says that the label is missing.
    """
    found = set(labels)
    if classes is None:
        check_names_found(found)
        classes = _in_order(found, task, order)
    spellings = {fold(name): name for name in reversed(classes)}
    for name in sorted(found):
        if name not in classes:
            # Close matches would show two names that look the same.
            known = spellings.get(fold(name), name)
            if name.casefold() != known.casefold():
                raise ValueError(f"the label and the class {differ(name, known)}; use one spelling")
            raise unknown_name("class", name, classes)
    for name in classes:
        if (other := spellings[fold(name)]) != name:
            raise ValueError(f"classes {differ(other, name)}; use one spelling")
    index = {name: number for number, name in enumerate(classes)}
    return np.array([index[name] for name in labels], dtype=np.int64), tuple(classes)


def check_names_found(found: Collection[str]) -> None:
    """Check names of classes that nobody has listed, but that occur in a source.

    Args:
        found: The names.

    Raises:
        ValueError: If one says that the label is missing, or two are the same name or number.
    """
    numbers = _numbers(found)
    # Beside the labels 0, 1, 2..., -1 is an unknown one; beside -2 or names, it is a class.
    lowest = min((number for number in numbers.values() if number != -1), default=None)
    unknown = len(numbers) == len(found) and lowest == 0
    for name in sorted(found):
        if is_missing(name) or (unknown and numbers[name] == -1):
            raise ValueError(
                f"the class of some images is {name!r}, which usually says that it is missing or "
                "unknown; drop these images, or list all classes with classes= if it is one"
            )
    spellings: dict[str | Decimal, str] = {}
    for name in sorted(found):
        key = numbers.get(name, fold(name))
        if (other := spellings.setdefault(key, name)) != name:
            hint = ", or list both with classes= if they are two classes" if name in numbers else ""
            raise ValueError(f"classes {differ(other, name)}; use one spelling{hint}")


def by_value(names: Collection[str]) -> list[str] | None:
    """Return names that are numbers in the order of their values; None if not all are numbers.

    Args:
        names: The names.
    """
    numbers = _numbers(names)
    return sorted(names, key=lambda name: numbers[name]) if len(numbers) == len(names) else None


def _in_order(
    found: Collection[str], task: Task | None, order: Sequence[str] | None
) -> Sequence[str]:
    """Return the names that occur, in the order of the classes."""
    if order is not None:
        if unused := [name for name in order if name not in found]:
            raise ValueError(
                f"the category {unused[0]!r} has no images; remove it "
                "(.cat.remove_unused_categories()), or list all classes with classes="
            )
        return order
    if (names := by_value(found)) is not None:
        return names
    names = sorted(found)
    if task == "ordinal-regression":
        raise UnorderedGradesError(
            f"the order of the classes {', '.join(map(repr, names)):.200} is not known, and "
            f"task={task!r} needs it; give classes=[...] in the order of the grades"
        )
    return names


def _numbers(names: Collection[str]) -> dict[str, Decimal]:
    """Return the names that are numbers, with their values."""
    found = {name: number_of(name) for name in names}
    return {name: number for name, number in found.items() if number is not None}
