"""Find the columns of a table by their names, in any case."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from medzoo.errors import unknown_name

BINARY = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
"""The number for each way to write that a label is absent or present (in lower case)."""
UNKNOWN = {"", "-1", "-1.0", "nan"}
"""The ways to write that it is unknown (in lower case)."""

_NAMES = {
    "image": re.compile(r"(image|img|file|isic)(id|index|name|path|file)?|path"),
    "label": re.compile(r"label|labels|class|dx|diagnosis|findinglabels|target"),
}
_DEFAULTS = {"image": "path", "label": "label"}


def simplify(name: str) -> str:
    """Return a name in lower case, without blanks and punctuation.

    Args:
        name: Name of a column, e.g. ``"Patient ID"``.
    """
    return re.sub(r"[\W_]+", "", name.casefold())


def find_column(name: str, columns: Collection[str]) -> str:
    """Return the column with a name: the exact one, or the only one that differs in case.

    Args:
        name: The name that was asked for.
        columns: The names of all columns.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If there is no such column, or there are several.
    """
    if not isinstance(name, str):
        raise TypeError(f"column {name!r:.80} is of type {type(name).__name__}, expected its name")
    if name in columns:
        return name
    same = [column for column in columns if column.casefold() == name.casefold()]
    if not same:
        raise unknown_name("column", name, columns)
    if len(same) > 1:
        raise ValueError(f"{name!r} could be each of {', '.join(same)}; write the exact name")
    return same[0]


def recognise_column(what: str, columns: Iterable[str]) -> str | None:
    """Return the only column whose name is usual for images or labels.

    ``path`` and ``label``, in any case, come before other names, such as ``image_id`` and ``dx``.

    Args:
        what: ``"image"`` or ``"label"``.
        columns: The names of the columns that it can be.

    Raises:
        ValueError: If there are several.
    """
    usual = [name for name in columns if _NAMES[what].fullmatch(simplify(name))]
    first = [name for name in usual if name.casefold() == _DEFAULTS[what]]
    found = first or usual
    if len(found) > 1:
        raise ValueError(
            f"the columns {', '.join(found)} could each be the {what}; choose one with "
            f"Dataset.from_table, e.g. {what}={found[0]!r}"
        )
    return found[0] if found else None


def is_binary(values: Iterable[object]) -> bool:
    """Return whether a column says whether something is there: only 0, 1 or unknown.

    Args:
        values: Values of the column.
    """
    found = {str(value).casefold() for value in values}
    return not BINARY.keys().isdisjoint(found) and found <= BINARY.keys() | UNKNOWN


def ordered_categories(column: Any) -> list[Any] | None:
    """Return the categories of a pandas column in their order; None if they have none.

    Args:
        column: A Series, or anything else, which has no order.
    """
    dtype = getattr(column, "dtype", None)
    return [*dtype.categories] if dtype is not None and getattr(dtype, "ordered", False) else None
