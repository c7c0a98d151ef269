"""What notebooks show of data sets and splits: counts, and an image of each class."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from torch import Tensor

from medzoo.datasets.display.contact_sheet import rows_of
from medzoo.datasets.info import SplitName
from medzoo.html import Figure, Section, Table, card, picture_of

if TYPE_CHECKING:
    from medzoo.datasets.split import Split

_CLASSES = 20  # shown; the others are counted
_PIXELS = 96  # of a side; larger images are reduced


def splits_card(title: str, splits: Mapping[SplitName, Split]) -> str:
    """Return what notebooks show: images per class and split, and an image of each class.

    Args:
        title: What it is.
        splits: The splits, at least one; the images are those of the first.
    """
    first = next(iter(splits.values()))
    classes = first.info.classes
    rows = [
        (name, *(f"{len(rows_of(split, number)):,}" for split in splits.values()))
        for number, name in islice(enumerate(classes), _CLASSES)
    ]
    if len(classes) > _CLASSES:
        rows.append((f"... and {len(classes) - _CLASSES:,} more", *[""] * len(splits)))
    rows.append(("images", *(f"{len(split):,}" for split in splits.values())))
    unit = "label" if first.info.multi_label else "class"
    examples = {}
    for number, name in islice(enumerate(classes), _CLASSES):
        if len(found := rows_of(first, number)):
            examples[name] = _first(first, found)
    figures = [
        Figure([picture_of(image, f"an image with {name}", _PIXELS)], [name], small=True)
        for name, image in examples.items()
    ]
    return card(title, [Section("Images", tables=[Table((unit, *splits), rows)], figures=figures)])


def _first(split: Split, rows: Tensor) -> Tensor:
    return split.take(rows[:1])[0]
