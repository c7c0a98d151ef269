"""Names that may be written in several ways: those of classes, and of patients and lesions."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_MISSING = {"", "nan", "-nan", "n/a", "na", "#n/a", "#na", "<na>", "nat", "null"}
"""How tables say that a value is missing (in lower case): those of pandas, except "None", which can
be a grade."""
_WHOLE = re.compile(r"(\d+)(\.0+)?")
_MOST_DIGITS = 1000  # Python refuses to convert much longer numbers
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")


def fold(name: str) -> str:
    """Return a name without what people do not see, or do not mean: case, blanks, Unicode form.

    Args:
        name: The name. File systems and programs may write é as one character or as two.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def number_of(name: str) -> Decimal | None:
    """Return the number that a name is, exactly; None if it is not one.

    Args:
        name: Such as ``"10"``, ``"-1"`` or ``"0.5"``.
    """
    text = name.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def identity(name: str) -> str:
    """Return what identifies a patient or a lesion, however its name is written.

    Args:
        name: The name. Of numbers, only whole ones may be written in two ways: ``"007"``, ``"7"``
            and ``"7.0"`` are the same, but ``"1.1"`` and ``"1.10"`` are parts of two names.
    """
    folded = fold(name)
    whole = _WHOLE.fullmatch(folded)
    return str(int(whole[1])) if whole and len(folded) < _MOST_DIGITS else folded


def is_missing(name: str) -> bool:
    """Return whether a name says that a value is missing, e.g. ``"NaN"`` or ``"N/A"``.

    Args:
        name: The name.
    """
    return fold(name) in _MISSING


def differ(first: str, second: str) -> str:
    """Say how two names of one thing differ.

    Args:
        first: A name.
        second: Another name, equal after `fold` or as a number.

    Returns:
        Both names and the difference, e.g. ``"'A' and 'a' differ only in case"``; names that
        could look the same are written with escapes.
    """
    if first.casefold() == second.casefold():
        return f"{first!r} and {second!r} differ only in case"
    if fold(first) == fold(second):
        return f"{first!a} and {second!a} differ only in case, blanks or Unicode form"
    return f"{first!r} and {second!r} are the same number"
