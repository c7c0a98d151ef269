"""Labels of images that are arrays: lists, pandas objects and names become numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import numpy as np

from medzoo.datasets.arrays import Array, check_unmasked
from medzoo.datasets.build import RawDataset
from medzoo.datasets.info import SplitName, Task, class_names
from medzoo.datasets.readers.columns import ordered_categories
from medzoo.datasets.readers.labelled import UnorderedGradesError, class_indices
from medzoo.errors import DatasetError

Labels: TypeAlias = "Array | Sequence[int] | Sequence[str] | Any"
"""Labels as `encode_labels` takes them; Any stands for the Series and DataFrames of pandas."""


def encode_labels(raw: RawDataset) -> RawDataset:
    """Convert labels into arrays of numbers, and check the names of classes.

    Lists and pandas objects become arrays. Names become class indices: by the order of
    `raw.classes` or of an ordered Categorical, else sorted, as in folders and tables. Columns of a
    DataFrame are found by the names of the classes, or give them their names. Anything else is left
    as it is.

    Args:
        raw: Images and labels, not yet checked.

    Raises:
        TypeError: If `classes` are not names.
        ValueError: If they are not those of the labels, or are numbers that could mean others, or
            they are missing and the order of grades is not known.
        DatasetError: If only some labels are names, the columns of the splits differ, or names
            have two readings.
    """
    classes = None if raw.classes is None else class_names(raw.classes)
    pairs = {name: pair for name, pair in raw.arrays.items() if _is_pair(pair)}
    labels = {name: pair[1] for name, pair in pairs.items()}
    labels, columns = _columns(labels, classes)
    prefix = f"{raw.provenance.file}: " if raw.provenance.file else ""
    order = None if classes else _order(labels, f"{prefix}labels")
    arrays = {name: _as_array(values) for name, values in labels.items()}
    named = {name: _names(values, f"{prefix}{name} labels") for name, values in arrays.items()}
    if any(names is not None for names in named.values()):
        arrays, classes = _encode(named, classes, prefix, raw.task, order)
    elif order is not None and order != sorted(order):
        raise DatasetError(
            f"{prefix}labels: their categories are ordered as {order!r:.80}, but numbers are class "
            "indices, 0, 1, 2...; give names (strings), or the positions (.cat.codes)"
        )
    elif classes is not None:
        _check_numbers(raw.classes, classes)
    encoded = {name: (pairs[name][0], cast(Array, arrays[name])) for name in pairs}
    return replace(raw, arrays={**raw.arrays, **encoded}, classes=classes or columns)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, tuple | list) and len(pair) == 2


def _columns(
    labels: Mapping[SplitName, Any], classes: tuple[str, ...] | None
) -> tuple[dict[SplitName, Any], tuple[str, ...] | None]:
    """Return the labels in the order of the classes, and the names of their columns, if any."""
    headers = {name: [*values.columns] for name, values in labels.items() if _is_frame(values)}
    if not headers or max(map(len, headers.values())) < 2:
        return dict(labels), None
    first, *others = headers.values()
    if len(headers) < len(labels) or any(set(first) != set(other) for other in others):
        raise DatasetError(
            f"columns of labels differ between the splits: {headers}; give each split a DataFrame "
            "with the same columns"
        )
    order = [*classes] if classes and set(classes) == set(first) else first
    if classes and order == first and [*classes] != first:
        raise ValueError(f"classes={classes!r} are not the columns of the labels, {first!r}")
    return {name: values[order] for name, values in labels.items()}, class_names(order)


def _is_frame(values: Any) -> bool:
    return hasattr(values, "columns") and hasattr(values, "to_numpy")


def _order(labels: Mapping[SplitName, Any], where: str) -> list[Any] | None:
    """Return the order that an ordered Categorical of pandas gives to the classes."""
    columns = {
        split: values.iloc[:, 0] if _is_frame(values) and values.shape[1] == 1 else values
        for split, values in labels.items()
    }
    orders = {split: ordered_categories(column) for split, column in columns.items()}
    given = {split: order for split, order in orders.items() if order is not None}
    for split, order in given.items():
        first = next(iter(given))
        if order != given[first]:
            raise DatasetError(
                f"{where}: {first} and {split} have ordered categories that differ: "
                f"{given[first]!r:.80} and {order!r:.80}; use the same in all splits, or give "
                "classes=[...]"
            )
    return next(iter(given.values()), None)


def _as_array(values: Any) -> Any:
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if isinstance(values, list | tuple):
        texts = bool(values) and all(isinstance(value, str) for value in values)
        try:
            values = np.array(values, dtype=object if texts else None)
        except ValueError:  # lists of different lengths
            return values
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    return values


def _names(values: Any, where: str) -> list[str] | None:
    """Return labels that are names as a list; None if they are not names."""
    check_unmasked(values, where)
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "OUT":
        return None
    names = values.tolist()
    others = [row for row, name in enumerate(names) if not isinstance(name, str)]
    if others and len(others) < len(names):
        raise DatasetError(
            f"{where}: that of image {others[0]:,} is {names[others[0]]!r:.80}, others are names; "
            "give each image the name of its class"
        )
    return None if others else names


def _encode(
    named: Mapping[SplitName, list[str] | None],
    classes: tuple[str, ...] | None,
    prefix: str,
    task: Task | None,
    order: Sequence[str] | None,
) -> tuple[dict[SplitName, Any], tuple[str, ...]]:
    """Return class indices instead of names, and all classes."""
    if others := [split for split, names in named.items() if names is None]:
        split = next(split for split, names in named.items() if names is not None)
        raise DatasetError(
            f"{prefix}{split} labels are names, {others[0]} labels are not; give names in all "
            "splits, or numbers in all"
        )
    every = {split: names for split, names in named.items() if names is not None}
    try:
        joined = [name for names in every.values() for name in names]
        indices, classes = class_indices(joined, classes, task, order)
    except UnorderedGradesError:
        raise  # the labels may be right, an argument is missing
    except ValueError as error:
        kind = DatasetError if classes is None else ValueError
        raise kind(f"{prefix}labels: {error}") from error
    ends = np.cumsum([len(names) for names in every.values()])
    return dict(zip(every, np.split(indices, ends[:-1]), strict=True)), classes


def _check_numbers(given: Any, classes: tuple[str, ...]) -> None:
    """Refuse names that are numbers, but others than the labels: it is unclear which is meant."""
    values = [] if isinstance(given, Mapping) else [*given]
    if any(not isinstance(name, str) for name in values) and classes != tuple(
        map(str, range(len(classes)))
    ):
        raise ValueError(
            f"classes={given!r:.200} are numbers in another order than the labels 0, 1, 2...; give "
            "names (strings) in the order of the labels, and number the labels from 0"
        )
