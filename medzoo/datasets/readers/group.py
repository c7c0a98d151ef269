"""Find the column of patients or lesions, whose images must not be in two splits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, TypeAlias

from medzoo.datasets.names.spelling import differ, identity, is_missing
from medzoo.datasets.readers.columns import is_binary, simplify

GroupColumn: TypeAlias = "str | Literal[False] | None"
"""A column; None for the one with the name of a group, if there is one; False or "" for none."""

_GROUPS = "group|patient|subject|lesion|study|case|participant|person|individual"
_ENDINGS = "id|identifier|number|no|nr|name|uid|instanceuid|key"
# DICOM's attributes, such as StudyInstanceUID, and hospitals' abbreviations are among them.
_NAME = re.compile(f"({_GROUPS})s?({_ENDINGS})?|pid|mrn|medicalrecordnumber")


def is_group_name(name: str) -> bool:
    """Return whether a column has the name of a group, e.g. ``"Patient ID"``.

    Args:
        name: Name of the column; case, blanks and punctuation do not matter.
    """
    return _NAME.fullmatch(simplify(name)) is not None


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
        if name not in others and is_group_name(name) and not is_binary(values)
    ]
    if len(found) > 1:
        raise ValueError(
            f"the columns {', '.join(found)} could each be the group whose images stay in one "
            f"split; choose one, e.g. group={found[0]!r} (of patients and lesions, the patients), "
            "or group=False for none (on the command line --group and --group '')"
        )
    return found[0] if found else None


def check_filled(name: str, cells: Iterable[tuple[object, object]], chosen: bool) -> None:
    """Check that each image has a group, and each group one name.

    Args:
        name: The column of the groups.
        cells: Place, for messages, and value of each cell.
        chosen: Whether the caller named the column.

    Raises:
        ValueError: If a value is missing, or two names of groups are spellings of one.
    """
    filled = list(cells)
    empty = [(place, value) for place, value in filled if value is None or is_missing(str(value))]
    if empty:
        place, value = empty[0]
        hint = "" if chosen else ", or use group=False to ignore the column"
        others = f" (and {len(empty) - 1:,} more)" if len(empty) > 1 else ""
        what = "empty" if value is None or value == "" else f"{value!r}, which means missing"
        raise ValueError(
            f"{place}: {name} is {what}{others}; fill in the group of each image{hint}"
        )
    try:
        check_spellings(value for _, value in filled)
    except ValueError as error:
        leak = ". group=False ignores the column, so that one group may be in several splits"
        hint = "" if chosen else leak
        raise ValueError(f"{name}: {error}{hint}") from error


def check_spellings(groups: Iterable[object]) -> None:
    """Check that no group has two names, of which one could be in train and one in test.

    Args:
        groups: Names or numbers of groups.

    Raises:
        ValueError: If two are equal but for case, blanks, Unicode form or zeros before a number.
    """
    spellings: dict[str, object] = {}
    for group in dict.fromkeys(groups):
        other = spellings.setdefault(identity(str(group)), group)
        if other is not group:
            names = differ(str(other), str(group)) if str(other) != str(group) else ""
            names = names or f"{other!r} and {group!r} are the same number"
            raise ValueError(
                f"the groups {names}; write each group in one spelling, and different ones in "
                "names that differ in more, e.g. numbered"
            )
