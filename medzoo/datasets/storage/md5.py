"""The md5 of data files, and what is known about files that are not the official ones."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from typing import IO

from medzoo.datasets.storage.content import content_fact

_CHUNK = 1 << 20


def file_md5(file: IO[bytes], *, trust: bool = True) -> str:
    """Return the md5 of a file as hexadecimal digits.

    For large files, the result is cached, because hashing gigabytes takes many seconds; see
    `content_fact`.

    Args:
        file: The open file.
        trust: Whether to use a cached result.
    """
    return content_fact("md5", file, _md5, trust=trust)


def _md5(file: IO[bytes]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


@cache
def known_files() -> dict[str, str]:
    """Return a note such as ``"rebuilt"`` for each known unofficial file, by its md5."""
    table = resources.files("medzoo.datasets.storage").joinpath("known_files.json")
    notes: dict[str, str] = json.loads(table.read_text("utf-8"))
    return notes
