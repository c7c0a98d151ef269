"""The md5 of data files, and what is known about files that are not the official ones."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path

from medzoo.cache import recall, remember

_CHUNK = 1 << 20
REMEMBER_FROM = 64 << 20
"""Bytes from which the md5 of a file is cached; a smaller file is hashed each time."""


def file_md5(path: Path) -> str:
    """Return the md5 of a file as hexadecimal digits.

    The file is read in chunks. For large files, the result is cached together with the path, size
    and modification time, because hashing gigabytes takes many seconds.

    Args:
        path: An existing file.
    """
    stat = path.stat()
    stamp = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    large = stat.st_size >= REMEMBER_FROM
    if large:
        facts = recall("md5", path)
        md5 = facts.pop("md5", None)
        if isinstance(md5, str) and facts == stamp:
            return md5
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    md5 = digest.hexdigest()
    if large:
        remember("md5", path, {**stamp, "md5": md5})
    return md5


@cache
def known_files() -> dict[str, str]:
    """Return a note such as ``"rebuilt"`` for each known unofficial file, by its md5."""
    table = resources.files("medzoo.datasets.storage").joinpath("known_files.json")
    notes: dict[str, str] = json.loads(table.read_text("utf-8"))
    return notes
