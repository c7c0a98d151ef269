"""Facts about the content of large files, remembered for as long as the files do not change."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from medzoo.cache import recall, remember

REMEMBER_FROM = 16 << 20
"""Bytes from which facts about a file are cached; a smaller file is read each time."""

_SAMPLES = 16
_SAMPLE = 1 << 12


def content_fact(
    kind: str, file: IO[bytes], compute: Callable[[IO[bytes]], str], *, trust: bool = True
) -> str:
    """Return a fact about the content of a file: the cached one, unless the file has changed.

    A file counts as unchanged if its path, size, times (to the nanosecond) and inode are the same,
    and so is a digest of samples: its head, its tail, and blocks in between. A file cannot be
    changed without changing its ctime; the samples are for file systems that have none.

    Args:
        kind: Name of the fact, e.g. ``"md5"``.
        file: The open file.
        compute: Computes the fact by reading the file from its beginning, where it is.
        trust: Whether to use a cached fact; otherwise it is computed and cached again.
    """
    file.seek(0)
    if os.fstat(file.fileno()).st_size < REMEMBER_FROM:
        return compute(file)
    stamp = _stamp(file)
    facts = recall(kind, Path(file.name))
    value = facts.pop("value", None)
    if trust and isinstance(value, str) and facts == stamp:
        return value
    value = compute(file)
    if _stamp(file) == stamp:
        remember(kind, Path(file.name), {**stamp, "value": value})
    return value


def file_version(file: IO[bytes]) -> dict[str, int]:
    """Return numbers of which at least one changes whenever the file is written to.

    Args:
        file: The open file.
    """
    stat = os.fstat(file.fileno())
    names = ("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev")
    return {name.removeprefix("st_"): getattr(stat, name) for name in names}


def _stamp(file: IO[bytes]) -> dict[str, Any]:
    """Return what identifies the content of a file, and set its position to 0."""
    version = file_version(file)
    digest = hashlib.sha256()
    last = max(0, version["size"] - _SAMPLE)
    for number in range(_SAMPLES):
        file.seek(last * number // (_SAMPLES - 1))
        digest.update(file.read(_SAMPLE))
    file.seek(0)
    return {**version, "samples": digest.hexdigest()}
