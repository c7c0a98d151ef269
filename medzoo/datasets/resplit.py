"""Custom splits: distribute the images of a data set over train, val and test differently."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from medzoo.datasets.dataset import Dataset
from medzoo.datasets.info import SPLIT_NAMES, SplitName
from medzoo.datasets.names.spelling import is_missing
from medzoo.datasets.readers.columns import find_column
from medzoo.datasets.readers.group import check_spellings
from medzoo.datasets.readers.text_table import read_csv
from medzoo.datasets.source import given_path
from medzoo.datasets.split import Split
from medzoo.datasets.storage.gather import gather_rows
from medzoo.datasets.validation import check_dataset
from medzoo.errors import DatasetError, unknown_name

Positions: TypeAlias = "Sequence[int] | np.ndarray | Tensor"
Sizes: TypeAlias = "Dataset | Mapping[str, int]"


def resplit(data: Dataset, split: str | Path | Mapping[Any, Positions]) -> Dataset:
    """Distribute the images of a data set over other splits.

    Args:
        data: The data set; its images are numbered from 0 in the order train, val, test.
        split: ``{"train": positions, "val": positions, "test": positions}`` in that numbering, or
            the path of a CSV file with the columns ``split``, ``index`` (a split of `data` and a
            position in it) and ``new_split``. Images that are not listed, or whose new split is
            empty, are left out.

    Returns:
        A data set with copies of the images, marked ``official=False``, with a note on the split.
        Copies of more than 256 MiB of memory-mapped images are files in the cache folder, which
        exist for as long as they are used.

    Raises:
        TypeError: If an argument or a position has the wrong type.
        ValueError: If a mapping is invalid: a split is unknown, missing or empty, a position is out
            of range or used twice, or a class has no image in train.
        DatasetError: If a file cannot be read, or is invalid for one of these reasons.
    """
    check_dataset("data", data)
    if isinstance(split, str | Path):
        path = given_path("split", split)
        try:
            positions = _checked(_read_split(path, data), data)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path} is not a valid split of {data.title}: {error}") from error
        note = f"own split {path.name}"
    elif isinstance(split, Mapping):
        positions, note = _checked(split, data), "own split"
    else:
        raise TypeError(
            f"split is {type(split).__name__}, expected a mapping of train, val and test to "
            "positions, or the path of a CSV file"
        )
    earlier = data.provenance.note
    provenance = replace(
        data.provenance, official=False, note=f"{earlier}; {note}" if earlier else note
    )
    counts: dict[str, int] = {name: len(chosen) for name, chosen in positions.items()}
    info = replace(data.info, n_samples=counts, mean=None, std=None)
    splits = {
        name: replace(_gather(data, chosen), info=info, name=name, provenance=provenance)
        for name, chosen in positions.items()
    }
    return Dataset(info, splits["train"], splits["val"], splits["test"], provenance)


def disjoint_split(
    data: Sizes, groups: Sequence[str | int] | np.ndarray | Tensor
) -> dict[SplitName, list[int]]:
    """Leave out images of train and val so that no group is in two splits.

    The test split does not change, so scores measured on it can be compared with those of models
    that were trained on the whole training split. Images whose group is in the test split are
    removed from validation; images whose group is in the test split or in the remaining validation
    split are removed from training.

    Args:
        data: A data set, or its number of images by split.
        groups: Group of each image (patient, lesion), a name or a number, in the order train, val,
            test; see `read_groups`.

    Returns:
        Positions by split, for `resplit` and ``load_dataset(..., split=)``.

    Raises:
        TypeError: If `data` or `groups` has the wrong type.
        ValueError: If a group is missing or has two spellings, the number of groups differs from
            that of the images, or a split would be empty.
    """
    sizes = _sizes(data)
    names = checked_groups(groups, sizes)
    first = _first_positions(sizes)
    taken: set[Hashable] = set()
    kept: dict[SplitName, list[int]] = {}
    for split in reversed(SPLIT_NAMES):
        span = range(first[split], first[split] + sizes[split])
        kept[split] = [position for position in span if names[position] not in taken]
        if not kept[split] and sizes[split]:
            raise ValueError(
                f"the {split} split would be empty: each of its {sizes[split]:,} images shares a "
                "group with a later split"
            )
        taken.update(names[position] for position in kept[split])
    return {split: kept[split] for split in SPLIT_NAMES if sizes[split]}


def read_groups(path: str | Path, data: Sizes, column: str) -> list[str]:
    """Read the group of each image from a CSV file.

    Args:
        path: A file with the columns ``split``, ``index`` and `column`, and one row per image, in
            any order.
        data: A data set, or its number of images by split.
        column: Name of the column with the groups, e.g. ``"lesion_id"``.

    Returns:
        The groups, in the order train, val, test.

    Raises:
        TypeError: If `data` has the wrong type.
        DatasetError: If the file cannot be read, a column is missing, or an image is not listed
            exactly once.
    """
    path, sizes = given_path("path", path), _sizes(data)
    groups: dict[int, str] = {}
    try:
        for place, position, group in _rows(path, sizes, column):
            if is_missing(group):
                what = f"{group!r}, which means missing" if group else "empty"
                raise ValueError(f"{place}: {column} is {what}")
            groups[position] = group
        if missing := sum(sizes.values()) - len(groups):
            raise ValueError(f"{missing:,} images have no row; expected one row per image")
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read the groups from {path}: {error}") from error
    return [groups[position] for position in range(len(groups))]


def read_column(path: str | Path, data: Sizes, column: str, split: SplitName) -> list[str]:
    """Read a value for each image of one split from a CSV file, such as the site or camera.

    Args:
        path: A file with the columns ``split``, ``index`` and `column`, in any order.
        data: A data set, or its number of images by split.
        column: Name of the column.
        split: The split whose values are returned.

    Returns:
        The values, in the order of the images; empty where the cell is.

    Raises:
        TypeError: If `data` has the wrong type.
        DatasetError: If the file cannot be read, a column is missing, or an image of the split is
            not listed exactly once.
    """
    path, sizes = given_path("path", path), _sizes(data)
    first = _first_positions(sizes)[split]
    try:
        values = {place: value for _, place, value in _rows(path, sizes, column)}
        wanted = range(first, first + sizes[split])
        if missing := sum(place not in values for place in wanted):
            raise ValueError(f"{missing:,} images of {split} have no row; expected one per image")
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {column} from {path}: {error}") from error
    return [values[place] for place in wanted]


def checked_groups(groups: object, sizes: Mapping[str, int]) -> list[Hashable]:
    """Return the group of each image, checked.

    Args:
        groups: A name or a number for each image, in a sequence, an array or a tensor.
        sizes: Number of images by split, in the order of the groups.

    Raises:
        TypeError: If the groups are not a sequence.
        ValueError: If there are not as many as images, one is neither a name nor a number, or two
            are spellings of one name.
    """
    if isinstance(groups, str | bytes | Mapping | Set) or not isinstance(groups, Iterable):
        raise TypeError(
            f"groups is {type(groups).__name__}, expected a sequence with one name or number per "
            "image"
        )
    names = groups.tolist() if isinstance(groups, np.ndarray | Tensor) else list(groups)
    total = sum(sizes.values())
    if len(names) != total:
        raise ValueError(
            f"{len(names):,} groups for {total:,} images; expected one group per image"
        )
    images = ((split, index) for split, size in sizes.items() for index in range(size))
    for (split, index), name in zip(images, names, strict=True):
        if not _is_name(name):
            raise ValueError(
                f"the group of {split} image {index:,} is {name!r}, expected a name or a number; "
                "give each image without a group a unique one"
            )
    check_spellings(names)
    return names


def _sizes(data: Sizes) -> dict[str, int]:
    if isinstance(data, Dataset):
        return {name: len(data.splits.get(name, ())) for name in SPLIT_NAMES}
    if not isinstance(data, Mapping):
        raise TypeError(
            f"data is a {type(data).__name__}; give a whole data set, or its number of images by "
            "split"
        )
    for name in data:
        if name not in SPLIT_NAMES:
            raise unknown_name("split", name, SPLIT_NAMES)
    if missing := [name for name in SPLIT_NAMES if name not in data]:
        raise ValueError(f"the number of images of {', '.join(missing)} is missing")
    return {name: int(data[name]) for name in SPLIT_NAMES}


def _is_name(group: Any) -> bool:
    """Return whether a value identifies a group, unlike None, NaN or an empty string."""
    try:
        hash(group)
        return bool(group == group) and group not in (None, "")
    except TypeError:  # lists are unhashable; pandas.NA cannot be compared
        return False


def _first_positions(sizes: Mapping[str, int]) -> dict[str, int]:
    starts = accumulate((sizes[name] for name in SPLIT_NAMES), initial=0)
    return dict(zip(SPLIT_NAMES, starts, strict=False))


def _rows(path: Path, sizes: Mapping[str, int], column: str) -> Iterable[tuple[str, int, str]]:
    """Yield place, position among all images, and a column's value of each row."""
    table = read_csv(path)
    first = _first_positions(sizes)
    seen: dict[int, str] = {}
    columns = [
        table.columns[find_column(name, table.columns)] for name in ("split", "index", column)
    ]
    for place, split, text, value in zip(table.places, *columns, strict=True):
        if split not in sizes:
            raise ValueError(f"{place}: {unknown_name('split', split, SPLIT_NAMES)}")
        if not text.isdecimal() or int(text) >= sizes[split]:
            raise ValueError(
                f"{place}: index {text!r} is not a position in {split}, "
                f"expected 0 to {sizes[split] - 1:,}"
            )
        position = first[split] + int(text)
        if (earlier := seen.setdefault(position, place)) != place:
            raise ValueError(f"{place}: {split} {text} is already listed in {earlier}")
        yield place, position, value


def _read_split(path: Path, data: Dataset) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {name: [] for name in SPLIT_NAMES}
    for place, position, new in _rows(path, _sizes(data), "new_split"):
        if new and new not in found:
            raise ValueError(f"{place}: {unknown_name('split', new, SPLIT_NAMES)}")
        if new:
            found[new].append(position)
    return found


def _checked(split: Mapping[str, Positions], data: Dataset) -> dict[SplitName, Tensor]:
    """Return the positions of each split as int64, or raise an error."""
    total = sum(_sizes(data).values())
    for name in split:
        if name not in SPLIT_NAMES:
            raise unknown_name("split", name, SPLIT_NAMES)
    owner: dict[int, str] = {}
    checked: dict[SplitName, Tensor] = {}
    for name in SPLIT_NAMES:
        positions = _integers(split.get(name, ()), name)
        if not positions:
            raise ValueError(f"the {name} split has no images; each split needs at least one")
        for position in positions:
            if not 0 <= position < total:
                raise ValueError(
                    f"{name}: position {position} is out of range, expected 0 to {total - 1:,}"
                )
            if position in owner:
                other = f"in {owner[position]} and {name}" if owner[position] != name else "twice"
                raise ValueError(
                    f"{name}: position {position} is used {other}; an image can be used only once"
                )
            owner[position] = name
        checked[name] = torch.tensor(positions, dtype=torch.int64)
    _check_classes(data, checked["train"])
    return checked


def _check_classes(data: Dataset, train: Tensor) -> None:
    """Check that each class that has images has some in the training split."""
    labels = torch.cat([split.labels for split in data.splits.values()])
    shown = labels == 1 if data.info.multi_label else one_hot(labels, data.info.num_classes)
    lost = shown.bool().any(0) & ~shown[train].bool().any(0)
    if names := [name for name, one in zip(data.info.classes, lost.tolist(), strict=True) if one]:
        raise ValueError(
            f"class {names[0]!r} has no images in train, so it cannot be learned; add some"
        )


def _integers(positions: Positions, name: str) -> list[int]:
    try:
        if isinstance(positions, str | bytes | Mapping):
            raise TypeError
        values = positions.tolist() if isinstance(positions, np.ndarray | Tensor) else [*positions]
        if any(isinstance(value, bool) for value in values):
            raise TypeError
        return [operator.index(value) for value in values]
    except TypeError:
        raise TypeError(
            f"{name}: positions must be a sequence of whole numbers (not a mask, not names), "
            f"got {str(positions)[:60]}"
        ) from None


def _gather(data: Dataset, positions: Tensor) -> Split:
    """Copy the chosen images of all splits into one split, in the order of the positions."""
    splits = list(data.splits.values())
    images = gather_rows([split.images for split in splits], positions)
    labels = torch.cat([split.labels for split in splits])[positions]
    return replace(splits[0], images=images, labels=labels)
