"""List the files in a folder at any depth, without hidden files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

HIDDEN_PREFIXES = (".", "__MACOSX")
"""Prefixes of the names of hidden files and folders."""


def visible_files(folder: str | Path) -> Iterator[Path]:
    """Yield the files in a folder and its sub-folders, except hidden ones.

    Symbolic links to folders are followed. A folder that can be reached in several ways is searched
    only once, so cyclic links are safe.

    Args:
        folder: The folder; it is searched even if it is hidden itself.
    """
    searched = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in searched:
            folders.clear()
            continue
        searched.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(HIDDEN_PREFIXES))
        paths = (Path(parent, name) for name in names if not name.startswith(HIDDEN_PREFIXES))
        yield from (path for path in paths if path.is_file())
