"""The cache folder of the library: small facts that are slow to compute, and locks."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from medzoo.errors import warn_caller
from medzoo.files import parse_json, write_atomically

_WAIT = 3600.0
_SILENT = 5.0  # seconds of waiting for a lock before a warning says who holds it


def cache_dir() -> Path:
    """Return the cache folder, ``$XDG_CACHE_HOME/medzoo``; its content can be recreated."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "medzoo"


def _entry(kind: str, path: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return cache_dir() / kind / digest


def remember(kind: str, path: Path, facts: dict[str, Any]) -> None:
    """Cache facts about a file; does nothing if the cache folder is not writable.

    Args:
        kind: Kind of facts, e.g. ``"md5"``.
        path: The file.
        facts: JSON-safe values by name.
    """
    content = json.dumps(facts).encode()
    with suppress(OSError):
        write_atomically(_entry(kind, path), content)


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
def locked(path: Path, wait: float = _WAIT) -> Iterator[bool]:
    """Lock the work on one target path, so that only one of several processes does it.

    The lock file is in the cache folder, not next to the target, and is released by the operating
    system if the process dies. The lock only saves work: results are put in place by an atomic
    rename, so if locking is impossible (a read-only home folder), continuing without it is safe.

    Args:
        path: The target.
        wait: Seconds to wait for another process.

    Yields:
        Whether the target is locked; False if locking is impossible.

    Raises:
        TimeoutError: If another process still holds the lock after that time.

    Warns:
        UserWarning: If another process holds it for some seconds; says which.
    """
    lock = _acquire(path, wait)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


def _acquire(path: Path, wait: float) -> FileLock | None:
    entry = _entry("locks", path)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(entry)
        try:
            lock.acquire(timeout=min(wait, _SILENT))
        except Timeout:
            if wait > _SILENT:
                warn_caller(f"waiting for {_holder(path)}")
                lock.acquire(timeout=wait - _SILENT)
            else:
                raise
    except Timeout:
        raise TimeoutError(
            f"gave up after waiting {wait:g} s for {_holder(path)}; wait for that process or end "
            "it, and try again"
        ) from None
    except (OSError, NotImplementedError):  # the latter from file systems without locks
        return None
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    remember("holders", path, {"pid": os.getpid(), "host": platform.node(), "since": since})
    return lock


def _holder(path: Path) -> str:
    """Return which process is working on a target."""
    facts = recall("holders", path)
    if {"pid", "host", "since"} - facts.keys():
        return f"another process, which is working on {path}"
    return (
        f"process {facts['pid']} on {facts['host']}, which has been working on {path} since "
        f"{facts['since']}"
    )
