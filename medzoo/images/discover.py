"""The files in a folder at any depth, without those that a user does not know of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

UNSEEN = (".", "__MACOSX")
"""How names of hidden files and folders start."""


def visible_files(folder: str | Path) -> Iterator[Path]:
    """Yield the files in a folder and the folders in it, except what is hidden.

    Links to folders are followed. A folder that several ways lead to is searched once, so links that
    lead back up do no harm.

    Args:
        folder: Where to search; its own name may be any.
    """
    searched = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        place = os.path.realpath(parent)
        if place in searched:
            folders.clear()
            continue
        searched.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith(UNSEEN))
        paths = (Path(parent, name) for name in names if not name.startswith(UNSEEN))
        yield from (path for path in paths if path.is_file())
