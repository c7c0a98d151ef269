"""Which files a path with the characters of patterns means, where names may contain them too."""

from __future__ import annotations

import re
from collections.abc import Collection
from glob import escape, glob
from pathlib import Path

_WILD = frozenset("*?")
_SPECIAL = _WILD | {"["}


def match_files(name: str) -> list[str] | None:
    """Return the files that fit a pattern, sorted; None if a path is not a pattern.

    Brackets are common in names of files (``scan[1].png``, ``series[2]/``) and a class of
    characters in patterns. They alone do not make a pattern, and the longest leading part of a path
    that exists is a folder with this name, not a part of the pattern.

    Args:
        name: The path.

    Raises:
        ValueError: If files fit in two ways: some by their names, others by a pattern.
        OSError: If the path cannot be looked up, e.g. because it is too long.
    """
    if not _SPECIAL & set(name) or "\0" in name:
        return None
    # A link to nothing is a file as well: reading it says what is wrong.
    exists = Path(name).exists() or Path(name).is_symlink()
    start = len(name) if exists else _end_of_existing(name)
    head, rest = name[:start], name[start:]
    if not _is_wild(name if _WILD & set(head) else rest):
        return None
    by_name = [name] if exists else _files(escape(head) + rest.replace("[", "[[]"))
    readings = [by_name] if exists else [by_name, _files(escape(head) + rest)]
    if _WILD & set(head):
        readings.append(_files(name))
    found = {tuple(map(Path, files)): files for files in readings if files}
    if len(found) > 1:
        first, *_, last = found.values()
        others = [file for file in last if file not in first]
        raise ValueError(
            f"{name!r} has two readings: {_describe(first)} has these characters in its name, and "
            f"{_describe(others or last)} fits them as a pattern; for the first, write "
            "glob.escape() around what is a name, and for the second, give a list of files"
        )
    if exists:
        return None
    return next(iter(found.values()), [])


def _is_wild(text: str) -> bool:
    return bool(_WILD & set(text)) or "[[]" in text  # what glob.escape makes of a bracket


def _end_of_existing(name: str) -> int:
    """Return where the longest leading part of a path ends that is a folder on this disk."""
    ends = [found.start() for found in re.finditer(r"[/\\]", name)]
    return next((end for end in reversed(ends) if Path(name[:end]).is_dir()), 0)


def _files(pattern: str) -> list[str]:
    paths = glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute patterns
    return sorted(path for path in paths if not Path(path).is_dir())


def _describe(files: Collection[str]) -> str:
    first = repr(next(iter(files)))
    return first if len(files) == 1 else f"{first} (and {len(files) - 1:,} more)"
