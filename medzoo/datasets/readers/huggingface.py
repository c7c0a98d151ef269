"""Convert a data set of the Hugging Face package ``datasets`` with images and classes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.datasets.build import RawDataset
from medzoo.datasets.info import Task, class_names
from medzoo.datasets.names.splits import are_splits, split_named
from medzoo.datasets.readers.columns import find_column
from medzoo.datasets.readers.group import GroupColumn, check_filled, find_group, is_group_name
from medzoo.datasets.readers.labelled import (
    LabelledImages,
    UnorderedGradesError,
    by_value,
    check_names_found,
    class_indices,
)
from medzoo.datasets.readers.read import ReadingOptions, check_names, read_labelled
from medzoo.errors import DatasetError

if TYPE_CHECKING:
    from typing_extensions import Unpack


_TEXT = ("string", "large_string")
_FEATURES = {"image": "datasets.Image", "label": "datasets.ClassLabel (class_encode_column)"}


def read_huggingface(
    data: Any,
    classes: Sequence[str] | None = None,
    *,
    image: str | None = None,
    label: str | None = None,
    group: GroupColumn = None,
    **options: Unpack[ReadingOptions],
) -> RawDataset:
    """Convert a data set of the package ``datasets``; see `Dataset.from_huggingface`.

    Args:
        data: A ``datasets.DatasetDict`` or ``datasets.Dataset``.
        classes: The classes in their order; by default those of the label column. Required for
            grades that are in alphabetical order, unless they are numbers.
        image: Column of the images; required if there are several.
        label: Column of the classes; required if there are several.
        group: Column of the group (patient, lesion) that an image belongs to; by default the
            one with such a name, if there is one. False or an empty string for none.
        **options: See `ReadingOptions`.

    Raises:
        ImportError: If the package is not installed.
        TypeError: If `data` is anything else, or an option has the wrong type.
        ValueError: If an option has an invalid value, or a column cannot be used.
        DatasetError: If an image has no label; and as for `read_labelled`.
    """
    check_names(options, read_huggingface)
    classes = None if classes is None else class_names(classes)
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"from_huggingface needs the package datasets ({error}); "
            "install it with: pip install 'medzoo[huggingface]'"
        ) from error

    if not isinstance(data, datasets.Dataset | datasets.DatasetDict):
        raise TypeError(
            f"data is {type(data).__name__}, expected a datasets.Dataset or DatasetDict (load it "
            "without streaming=True)"
        )
    parts = dict(data) if isinstance(data, datasets.DatasetDict) else {"train": data}
    splits = {name: split_named(name) for name in parts}
    if len(set(splits.values())) < len(splits):
        raise ValueError(
            f"two of the parts {', '.join(splits)} stand for the same split; join them with "
            "datasets.concatenate_datasets, or leave one out"
        )
    if not any(map(len, parts.values())):
        raise DatasetError("the data set contains no images")
    first = next(iter(parts.values()))
    features = first.features
    image = _column("image", image, features, lambda kind: isinstance(kind, datasets.Image))
    label = _column("label", label, features, lambda kind: _class_names(kind) is not None)
    group = find_column(group, features) if group else group
    for name, part in parts.items():
        if part.features != features:
            raise ValueError(
                f"{name} has columns {part.features}, expected those of the first split: {features}"
            )
    detected = None
    if group is None:
        named_so = {name: _values(parts, name) for name in features if is_group_name(name)}
        group = detected = find_group(named_so, (image, label))
    groups = _values(parts, group) if group else []
    if set(splits.values()) == {"train"}:
        _refuse_splits(first, (image, label, group))

    encoded = {
        name: _plain(part, image).cast_column(image, datasets.Image(decode=False))
        for name, part in parts.items()
    }
    files = [
        _Cell(part, image, row, name) for name, part in encoded.items() for row in range(len(part))
    ]
    if group:
        check_filled(group, zip(files, groups, strict=True), chosen=detected is None)
    values = _values(parts, label)
    known = _class_names(features[label]) or []
    named = [_names(known, value, file) for file, value in zip(files, values, strict=True)]
    if classes is None:
        _check_declared(known, options.get("task"))
        classes = tuple(known)
    numbers, _ = class_indices([name for own in named for name in own], classes)
    labels = np.zeros((len(files), len(classes)), np.int64)
    labels[np.repeat(np.arange(len(files)), [len(own) for own in named]), numbers] = 1
    if isinstance(features[label], datasets.ClassLabel):
        labels = labels.argmax(1)
    listed = LabelledImages(
        first.info.dataset_name or "huggingface",
        files,
        labels,
        classes,
        [splits[file.split] for file in files] if set(splits.values()) != {"train"} else None,
        [str(value) for value in groups] if group else None,
        f"grouped by {group}" if group else "",
    )
    return read_labelled(listed, **options)


@dataclass(frozen=True)
class _Cell:
    """One image in a table of the package, not yet decoded."""

    data: Any
    column: str
    row: int
    split: str

    def read_bytes(self) -> bytes:
        value = self.data[self.row][self.column]
        if value is None:
            raise OSError("the cell is empty")
        return value["bytes"] or Path(value["path"]).read_bytes()

    def __str__(self) -> str:
        return f"{self.split} row {self.row}"


def _plain(part: Any, column: str) -> Any:
    """Return one column with plain Python values (a table may be set to return tensors)."""
    return part.select_columns([column]).with_format(None)


def _values(parts: Mapping[str, Any], column: str) -> list[Any]:
    return [value for part in parts.values() for value in _plain(part, column)[column]]


def _class_names(kind: Any) -> list[str] | None:
    """Return the class names of a column of classes or of lists of classes, else None."""
    names = getattr(getattr(kind, "feature", kind), "names", None)
    return list(names) if names else None


def _check_declared(names: Sequence[str], task: Task | None) -> None:
    """Check the names of a column of classes, which may come from text (class_encode_column)."""
    check_names_found(names)
    if task == "ordinal-regression" and [*names] == sorted(names) != by_value(names):
        raise UnorderedGradesError(
            f"the classes {', '.join(map(repr, names)):.200} are in alphabetical order, as "
            f"class_encode_column sorts them, and task={task!r} needs that of the grades; give "
            "classes=[...] in the order of the grades"
        )


def _refuse_splits(part: Any, used: Collection[object]) -> None:
    """Check that no column that would be ignored says in which split each image is."""
    for column, kind in part.features.items():
        names = getattr(kind, "names", None) or []
        if column in used or not (names or getattr(kind, "dtype", None) in _TEXT):
            continue
        values = part.with_format(None).unique(column)
        if are_splits(names[value] if isinstance(value, int) else value for value in values):
            raise ValueError(
                f"{column} contains only names of splits, but the images would be split at random; "
                "give a datasets.DatasetDict with a part for each split "
                f"(data.filter(lambda row: row[{column!r}] == 'train'), ...), or leave the column "
                f"out with remove_columns({column!r})"
            )


def _column(
    what: str, given: str | None, features: Mapping[str, Any], fits: Callable[[Any], bool]
) -> str:
    """Return the column of images or labels: the given one, or the only one of that kind."""
    found = [name for name, kind in features.items() if fits(kind)]
    if given is None and len(found) == 1:
        return found[0]
    if given is not None and (column := find_column(given, features)) in found:
        return column
    raise ValueError(
        f"{what}={given!r}: columns that contain {what}s are {', '.join(found) or 'none'} (of "
        f"{', '.join(features)}); name one of them, or cast a column to {_FEATURES[what]}"
    )


def _names(known: Sequence[str], value: Any, file: _Cell) -> list[str]:
    """Return the class name, or the label names, of one image."""
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        if number not in range(len(known)):
            raise DatasetError(
                f"{file}: the label is {number}, expected 0 to {len(known) - 1}; remove images "
                "without a label (with filter)"
            )
    return [known[number] for number in numbers]
