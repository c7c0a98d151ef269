"""The cache folder of the library: small facts that are slow to compute, and locks."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from medzoo.files import parse_json


def cache_dir() -> Path:
    """Return the cache folder, ``$XDG_CACHE_HOME/medzoo``; its content can be recreated."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "medzoo"


def _entry(kind: str, path: Path) -> Path:
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    return cache_dir() / kind / digest


def remember(kind: str, path: Path, facts: dict[str, Any]) -> None:
    """Cache facts about a file; does nothing if the cache folder is not writable.

    Args:
        kind: Kind of facts, e.g. ``"md5"``.
        path: The file.
        facts: JSON-safe values by name.
    """
    entry = _entry(kind, path)
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=entry.parent)
        try:
            with os.fdopen(handle, "w") as stream:
                json.dump(facts, stream)
            Path(name).replace(entry)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def recall(kind: str, path: Path) -> dict[str, Any]:
    """Return the cached facts about a file; empty if there are none, or they cannot be read.

    Args:
        kind: Kind of facts, as given to `remember`.
        path: The file.
    """
    with suppress(OSError, ValueError):
        facts = parse_json(_entry(kind, path).read_text())
        if isinstance(facts, dict):
            return facts
    return {}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock the work on one target path, so that only one of several processes does it.

    The lock file is in the cache folder, not next to the target, and is released by the operating
    system if the process dies. The lock only saves work: results are put in place by an atomic
    rename, so if locking is impossible (a read-only home folder), continuing without it is safe.

    Args:
        path: The target.
    """
    lock: FileLock | None = None
    entry = _entry("locks", path)
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(entry)
        lock.acquire()
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
