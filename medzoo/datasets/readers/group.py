"""Find the column of patients or lesions, whose images must not be in two splits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, TypeAlias

GroupColumn: TypeAlias = "str | Literal[False] | None"
"""A column; None for the one with the name of a group, if there is one; False or "" for none."""

_GROUPS = "group|patient|subject|lesion|study|case|participant|person|individual"
_NAME = re.compile(f"({_GROUPS})s?(id|identifier|number|no|nr|name|uid|key)?")
_FLAGS = {"0", "1", "0.0", "1.0", "False", "True"}


def is_group_name(name: str) -> bool:
    """Return whether a column has the name of a group, e.g. ``"Patient ID"``.

    Args:
        name: Name of the column; case, blanks and punctuation do not matter.
    """
    return _NAME.fullmatch(re.sub(r"[\W_]+", "", name.casefold())) is not None


def find_group(
    columns: Mapping[str, Iterable[object]], others: Collection[str | None]
) -> str | None:
    """Return the only column with the name of a group.

    A column of zeros and ones is not one: it says whether there is a lesion, not which.

    Args:
        columns: The values of each column, by its name.
        others: Columns that are used for something else.

    Raises:
        ValueError: If there are several.
    """
    found = [
        name
        for name, values in columns.items()
        if name not in others and is_group_name(name) and not {str(v) for v in values} <= _FLAGS
    ]
    if len(found) > 1:
        raise ValueError(
            f"the columns {', '.join(found)} could each be the group whose images stay in one "
            f"split; choose one, e.g. group={found[0]!r} (of patients and lesions, the patients), "
            "or group=False for none (load_dataset does not have this argument; "
            "Dataset.from_table does)"
        )
    return found[0] if found else None


def check_filled(name: str, values: Iterable[object], chosen: bool) -> None:
    """Check that each image has a group.

    Args:
        name: The column of the groups.
        values: Its values.
        chosen: Whether the caller named the column.

    Raises:
        ValueError: If a value is missing.
    """
    empty = [row for row, value in enumerate(values, 1) if value is None or value == ""]
    if empty:
        hint = "" if chosen else ", or use group=False to ignore the column"
        raise ValueError(
            f"{name} is empty in {len(empty):,} rows, first in row {empty[0]:,}; fill in the group "
            f"of each image{hint}"
        )
