"""Read a CSV table of image files and their labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medzoo.datasets.build import RawDataset
from medzoo.datasets.readers.group import GroupColumn, check_filled, find_group
from medzoo.datasets.readers.labelled import SPLIT_OF, LabelledImages, class_indices
from medzoo.datasets.readers.read import ReadingOptions, read_labelled
from medzoo.errors import DatasetError, unknown_name

if TYPE_CHECKING:
    from typing_extensions import Unpack


def read_table(
    path: str | Path,
    classes: Sequence[str] | None = None,
    *,
    root: str | Path | None = None,
    image: str = "path",
    label: str | Sequence[str] | None = None,
    split: str | None = None,
    group: GroupColumn = None,
    **options: Unpack[ReadingOptions],
) -> RawDataset:
    """Read the images listed in a CSV table; see `Dataset.from_table`.

    Args:
        path: The table, with one row per image.
        classes: The classes in their order; by default the names that occur, sorted.
        root: Folder that image paths are relative to; by default the folder of the table.
        image: Column of the image paths.
        label: Column of the class names, or several columns of zeros and ones.
        split: Column of train, val or test.
        group: Column of the group (patient, lesion) that an image belongs to; by default the
            one with such a name, if there is one. False or an empty string for none.
        **options: See `ReadingOptions`.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option has an invalid value.
        DatasetError: If the table cannot be read or is incomplete; and as for `read_labelled`.
    """
    file = Path(path).expanduser()
    try:
        table = _read(file)
        paths = table.values(image, unique=True)
        split = split or ("split" if "split" in table.columns else None)
        if label is None and "label" in table.columns:
            label = "label"
        used = [image, split, *([label] if isinstance(label, str) else label or ())]
        detected = find_group(table.columns, used) if group is None else None
        group = group or detected
        if group and group in table.columns:
            check_filled(group, table.columns[group], chosen=detected is None)
        if isinstance(label, str):
            labels, names = class_indices(table.values(label), classes)
        else:
            others = [
                name
                for name in table.columns
                if name not in (image, split, group) and not table.is_group(name)
            ]
            names = tuple(classes or label or others)
            if not names:
                raise ValueError("there is no label column; add one named label")
            labels = np.array([table.zeros_and_ones(name) for name in names], np.int64).T
        folder = Path(root).expanduser() if root is not None else file.parent
        listed = LabelledImages(
            file.name,
            [folder / name for name in paths],
            labels,
            names,
            splits=[SPLIT_OF[one] for one in table.values(split, SPLIT_OF)] if split else None,
            groups=table.values(group) if group else None,
            group_note=f"grouped by {detected}" if detected else "",
        )
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"{file} is not a valid table of images and labels: {error}") from error
    return read_labelled(listed, **options)


@dataclass(frozen=True)
class _Table:
    """The cells of a table.

    Attributes:
        columns: The values of each column, by column name.
        lines: The line number of each row in the file, from 1.
    """

    columns: dict[str, list[str]]
    lines: list[int]

    def values(
        self, name: str, known: Sequence[str] | dict | None = None, unique: bool = False
    ) -> list[str]:
        """Return a column; refuse empty, unknown or (if `unique`) repeated values."""
        if name not in self.columns:
            raise unknown_name("column", name, self.columns)
        seen: dict[str, int] = {}
        for value, line in zip(self.columns[name], self.lines, strict=True):
            if not value:
                raise ValueError(f"line {line}: {name} is empty")
            if known is not None and value not in known:
                raise ValueError(f"line {line}: {unknown_name(name, value, known)}")
            if unique and (first := seen.setdefault(value, line)) != line:
                raise ValueError(f"line {line}: {value!r} is already listed in line {first}")
        return self.columns[name]

    def is_group(self, name: str) -> bool:
        """Return whether a column contains groups, so that it is not one of the labels."""
        return find_group({name: self.columns[name]}, ()) is not None

    def zeros_and_ones(self, name: str) -> list[int]:
        """Return the column of a label as 1 (present), 0 (absent) or -1 (unknown)."""
        if name not in self.columns:
            raise unknown_name("column", name, self.columns)
        numbers = {"0": 0, "1": 1, "-1": -1, "0.0": 0, "1.0": 1, "-1.0": -1, "": -1}
        for value, line in zip(self.columns[name], self.lines, strict=True):
            if value not in numbers:
                raise ValueError(
                    f"line {line}: {name} is {value!r}, expected 0 or 1 (an empty cell or -1 if "
                    "unknown); without a column named "
                    "label, all columns except path, split and group are taken as labels, unless "
                    "you choose them with label=[...]"
                )
        column = [numbers[value] for value in self.columns[name]]
        if set(column) == {-1}:
            raise ValueError(f"{name} has neither 0 nor 1; remove the column")
        return column


def _read(file: Path) -> _Table:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, strict=True)
        header = [name.strip() for name in next(reader, [])]
        rows, lines = [], []
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise ValueError(
                    f"line {reader.line_num}: {len(row)} values, expected {len(header)} "
                    f"({', '.join(header)})"
                )
            rows.append([value.strip() for value in row])
            lines.append(reader.line_num)
    if len(set(header)) < len(header):
        raise ValueError(f"two columns have the same name: {', '.join(header)}")
    if not rows:
        raise ValueError("it has no rows")
    return _Table(dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)), lines)
