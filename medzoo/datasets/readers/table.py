"""Read a table of image files and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medzoo.datasets.build import RawDataset
from medzoo.datasets.info import SplitName, Task, class_names
from medzoo.datasets.names.splits import are_splits, split_named
from medzoo.datasets.readers.columns import (
    BINARY,
    UNKNOWN,
    find_column,
    is_binary,
    recognise_column,
)
from medzoo.datasets.readers.group import GroupColumn, check_filled, find_group, is_group_name
from medzoo.datasets.readers.labelled import LabelledImages, UnorderedGradesError, class_indices
from medzoo.datasets.readers.locate import locate_images
from medzoo.datasets.readers.read import ReadingOptions, check_names, read_labelled
from medzoo.datasets.readers.text_table import (
    TableSource,
    TextTable,
    check_delimiter,
    is_frame,
    read_csv,
    read_frame,
)
from medzoo.datasets.source import given_path
from medzoo.errors import DatasetError

if TYPE_CHECKING:
    from typing_extensions import Unpack

_NO_LABELS = "no finding"
_MULTI_LABEL = "multi-label, binary-class"


def read_table(
    table: TableSource,
    classes: Sequence[str] | None = None,
    *,
    root: str | Path | Sequence[str | Path] | None = None,
    image: str | None = None,
    label: str | Sequence[str] | None = None,
    split: str | None = None,
    group: GroupColumn = None,
    delimiter: str | None = None,
    **options: Unpack[ReadingOptions],
) -> RawDataset:
    """Read the images listed in a table; see `Dataset.from_table`.

    Args:
        table: A CSV file or a DataFrame, with one row per image.
        classes: The classes in their order; by default the names that occur, sorted, or in the
            order of an ordered Categorical. Grades that are not numbers need one of the two.
        root: Folder of the images, or several; by default the folder of the table.
        image: Column of the image paths or names; by default recognised by its name.
        label: Column of the class names or of lists of labels, or several columns of zeros and
            ones; by default recognised by its name.
        split: Column of train, val or test.
        group: Column of the group (patient, lesion) that an image belongs to; by default the
            one with such a name, if there is one. False or an empty string for none.
        delimiter: The character between columns; by default a comma, semicolon or tab.
        **options: See `ReadingOptions`.

    Raises:
        TypeError: If `table` is not a path or a DataFrame, or an option has the wrong type.
        ValueError: If an option has an invalid value, or grades have no order.
        DatasetError: If the table cannot be read or is incomplete; and as for `read_labelled`.
    """
    check_names(options, read_table)
    check_delimiter(delimiter, table)
    if not is_frame(table) and not isinstance(table, str | Path):
        raise TypeError(
            f"table is {type(table).__name__}, expected the path of a CSV file or a pandas "
            "DataFrame"
        )
    classes = None if classes is None else class_names(classes)
    if not isinstance(label, str | Sequence | None):
        raise TypeError(f"label={label!r:.80} must be the name of a column, or a list of names")
    if label is not None and not label:
        raise ValueError(f"label={label!r} must name at least one column")
    file = None if is_frame(table) else given_path("table", table)
    if root is None:
        root = file.parent if file else Path()
    folders = root if isinstance(root, list | tuple) else [root]
    roots = [given_path("root", folder) for folder in folders]
    if not roots:
        raise ValueError("root=[] must name at least one folder of images")
    try:
        text = read_csv(file, delimiter) if file else read_frame(table)
        listed = _list_images(
            text,
            classes,
            source=file.name if file else "table",
            roots=roots,
            image=image,
            label=label,
            split=split,
            group=group,
            task=options.get("task"),
        )
    except UnorderedGradesError:
        raise  # the table may be right, an argument is missing
    except (OSError, ValueError) as error:
        what = file or "the DataFrame"
        raise DatasetError(f"{what} is not a valid table of images and labels: {error}") from error
    if file and not options.get("name"):
        options["name"] = file.stem
    return read_labelled(listed, **options)


def _list_images(
    table: TextTable,
    classes: Sequence[str] | None,
    *,
    source: str,
    roots: Sequence[Path],
    image: str | None,
    label: str | Sequence[str] | None,
    split: str | None,
    group: GroupColumn,
    task: Task | None,
) -> LabelledImages:
    """Find the columns, the labels and the image files of a table."""
    image = find_column(image, table.columns) if image else recognise_column("image", table.columns)
    if image is None:
        raise ValueError(
            "there is no column of images, such as path, image_id or file name (found "
            f"{', '.join(table.columns)}); choose one with Dataset.from_table(..., image=...)"
        )
    files = locate_images(zip(table.places, table.filled(image), strict=True), roots)
    if split or "split" in {name.casefold() for name in table.columns}:
        split = find_column(split or "split", table.columns)
    if label is None:
        label = _label_column(table, [image, split], classes)
    elif isinstance(label, str):
        label = find_column(label, table.columns)
    else:
        label = [find_column(name, table.columns) for name in label]
    used = [image, split, *([label] if isinstance(label, str) else label or ())]
    detected = find_group(table.columns, used) if group is None else None
    group = find_column(group, table.columns) if group else detected
    if group:
        check_filled(group, table.cells(group), chosen=detected is None)
    if split is None:
        _refuse_splits(table, [*used, group])
    if isinstance(label, str):
        labels, names = _named_labels(table, label, classes, task)
    else:
        labels, names = _binary_labels(table, label, classes, task, [image, split, group])
    return LabelledImages(
        source,
        files,
        labels,
        names,
        splits=_splits(table, split) if split else None,
        groups=table.columns[group] if group else None,
        group_note=f"grouped by {group}" if group else "",
    )


def _refuse_splits(table: TextTable, used: Sequence[str | None]) -> None:
    """Check that no column that would be ignored says in which split each image is."""
    for name, cells in table.columns.items():
        if name not in used and are_splits(cells):
            found = [cell for cell in dict.fromkeys(cells) if cell]
            raise ValueError(
                f"{name} contains only names of splits ({', '.join(found)}), but the "
                "images would be split at random; choose it with Dataset.from_table: "
                f"split={name!r}, or rename it to split (or drop it, if it means something else)"
            )


def _splits(table: TextTable, name: str) -> list[SplitName]:
    table.filled(name)
    splits = []
    for place, value in table.cells(name):
        try:
            splits.append(split_named(value))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
    return splits


def _label_column(
    table: TextTable, used: Sequence[str | None], classes: Sequence[str] | None
) -> str | None:
    """Return the column of class names, if there is one; else labels have columns of 0 and 1."""
    others = [name for name in table.columns if name not in used]
    has_label = "label" in {name.casefold() for name in others}
    if classes is not None and set(classes) <= set(others) and not has_label:
        return None
    found = recognise_column("label", others)
    binary = [name for name in others if is_binary(table.columns[name])]
    if found in binary and len(binary) > 1 and not has_label:
        raise ValueError(
            f"{found} could be the class, or one of the labels {', '.join(binary)}; choose with "
            f"Dataset.from_table: label={found!r}, or label=[...]"
        )
    return found


def _named_labels(
    table: TextTable, column: str, classes: Sequence[str] | None, task: Task | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a column of class names, or of lists of labels such as ``Mass|Effusion``."""
    cells = table.filled(column)
    if task != _MULTI_LABEL and (task or not any("|" in cell for cell in cells)):
        return class_indices(cells, classes, task, table.orders.get(column))
    if is_binary(cells):
        raise ValueError(
            f"{column} contains only zeros and ones; for a single label, write label=[{column!r}]"
        )
    lists = [_split_list(cell, place, classes) for place, cell in table.cells(column)]
    numbers, names = class_indices([name for names in lists for name in names], classes)
    if not names:
        raise ValueError(f"{column} contains no label other than {cells[0]!r}")
    labels = np.zeros((len(lists), len(names)), np.int64)
    labels[np.repeat(np.arange(len(lists)), [len(names) for names in lists]), numbers] = 1
    return labels, names


def _split_list(cell: str, place: str, classes: Sequence[str] | None) -> list[str]:
    """Return the labels of one image."""
    names = [name.strip() for name in cell.split("|")]
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"{place}: {cell!r} contains an empty label, or one twice")
    none = [name for name in names if name.casefold() == _NO_LABELS and name not in (classes or ())]
    if none and len(names) > 1:
        raise ValueError(f"{place}: {cell!r} contains {none[0]!r} and labels, which contradict")
    return [] if none else names


def _binary_labels(
    table: TextTable,
    label: Sequence[str] | None,
    classes: Sequence[str] | None,
    task: Task | None,
    used: Sequence[str | None],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read columns of zeros and ones."""
    others = [
        name
        for name, cells in table.columns.items()
        if name not in used and (is_binary(cells) or not is_group_name(name))
    ]
    names = tuple(classes or label or others)
    if label and {name.casefold() for name in label} != {name.casefold() for name in names}:
        raise ValueError(
            f"classes={list(names)} and label={list(label)} must name the same columns; leave one "
            "of them out"
        )
    if not names:
        raise ValueError(
            f"there is no label column (found {', '.join(table.columns)}); add one named label"
        )
    columns = [find_column(name, table.columns) for name in names]
    labels = np.array(
        [[_number(cell, place, name) for place, cell in table.cells(name)] for name in columns],
        np.int64,
    )
    for name, values in zip(names, labels, strict=True):
        if (values == -1).all():
            raise ValueError(f"{name} has neither 0 nor 1; remove the column")
    if len(names) == 1 and task != _MULTI_LABEL:
        raise ValueError(
            f"{names[0]} is the only column of labels; choose label={columns[0]!r} for the classes "
            f"0 and 1, or task={_MULTI_LABEL!r} (Dataset.from_table)"
        )
    return labels.T, names


def _number(cell: str, place: str, name: str) -> int:
    """Return whether a label is present, as 0 or 1; -1 if that is unknown."""
    if cell.casefold() in UNKNOWN:
        return -1
    if cell.casefold() not in BINARY:
        raise ValueError(
            f"{place}: {name} is {cell!r}, expected 0 or 1 (empty or -1 if unknown); without a "
            "column named label, all columns that are not images, splits or groups are taken as "
            f"labels, unless you choose them: label=[...], or label={name!r} if it contains the "
            "classes (Dataset.from_table)"
        )
    return BINARY[cell.casefold()]
