"""Recognise the names of splits, in folders, tables, Hugging Face data sets and archives alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

from medzoo.datasets.info import SplitName
from medzoo.errors import unknown_name

_SPLITS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_NAME = re.compile(f"({'|'.join(_SPLITS)})(set|split|data|images?|imgs?)?")
_SIMILAR = re.compile(
    f"({'|'.join(_SPLITS)}|eval|evaluation|holdout|k?fold|cv|split)([0-9]+|[a-z])?|[0-9]+(st|nd|rd|th)?fold"
)
"""Names of folds, and of parts of data that could be one split or another."""


def find_split(name: str) -> SplitName | None:
    """Return the split that a name stands for, or None.

    Args:
        name: Such as ``"train"``, ``"Training"``, ``"valid"``, ``"dev"`` or ``"test_set"``; case,
            blanks and punctuation do not matter.
    """
    match = _NAME.fullmatch(_letters(name))
    return _SPLITS[match[1]] if match else None


def split_named(name: str) -> SplitName:
    """Return the split that a name stands for; see `find_split`.

    Args:
        name: The name.

    Raises:
        ValueError: If it is not the name of a split.
    """
    if split := find_split(name):
        return split
    raise unknown_name("split", name, _SPLITS)


def are_splits(values: Iterable[str | None]) -> bool:
    """Return whether a column says in which split each image is, whatever its name.

    Args:
        values: The text of each cell, of several splits; a single one contradicts no split.
    """
    named = {find_split(value) for value in set(values) if value}
    return len(named) > 1 and None not in named


def resembles_split(name: str) -> bool:
    """Return whether a name is that of a split, a fold or the like, rather than of a class.

    Args:
        name: Such as ``"train"``, ``"fold1"``, ``"test 2"`` or ``"holdout"``.
    """
    return find_split(name) is not None or _SIMILAR.fullmatch(_letters(name)) is not None


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
