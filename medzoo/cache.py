"""The library's cache folder: small facts that are slow to find out, and locks."""

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


def cache_dir() -> Path:
    """Return the folder for things that can be made again: ``$XDG_CACHE_HOME/medzoo``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "medzoo"


def _slot(kind: str, path: Path) -> Path:
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    return cache_dir() / kind / digest


def remember(kind: str, path: Path, facts: dict[str, Any]) -> None:
    """Keep JSON-safe facts about a file; silently not, where the cache cannot be written."""
    slot = _slot(kind, path)
    with suppress(OSError):
        slot.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=slot.parent)
        try:
            with os.fdopen(handle, "w") as stream:
                json.dump(facts, stream)
            Path(name).replace(slot)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def recall(kind: str, path: Path) -> dict[str, Any]:
    """Return the facts kept about a file; empty if there are none (or none readable)."""
    with suppress(OSError, ValueError):
        facts = json.loads(_slot(kind, path).read_text())
        if isinstance(facts, dict):
            return facts
    return {}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on work for one target path, so that one process of many does it.

    The lock file lies in the cache folder, not beside the target, and is freed by the operating
    system if the process dies. It spares work only: results are put in place by an atomic
    rename, so where no lock can be had (a read-only home), going on without is safe.
    """
    lock: FileLock | None = None
    slot = _slot("locks", path)
    with suppress(OSError):
        slot.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(slot)
        lock.acquire()
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
