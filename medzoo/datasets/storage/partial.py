"""Files and folders that are not complete yet, and what killed processes left of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


@contextmanager
def partial_path(target: Path) -> Iterator[Path]:
    """Provide a free path beside a target, for what is renamed to it when it is complete.

    What is still there at the end is removed.

    Args:
        target: The file or folder that is to be made.

    Yields:
        The path; nothing exists there.
    """
    partial = target.with_name(f"{target.name}.{uuid4().hex[:8]}.partial")
    try:
        yield partial
    finally:
        remove(partial)


def remove_leftovers(target: Path) -> None:
    """Remove what `partial_path` provided to processes that were killed.

    Args:
        target: The target, which the caller has locked: no other process is making it.
    """
    pattern = re.compile(rf"{re.escape(target.name)}\.[0-9a-f]{{8}}\.partial")
    with suppress(OSError):
        for path in list(target.parent.iterdir()):
            if pattern.fullmatch(path.name):
                remove(path)


def remove(path: Path) -> None:
    """Remove a file or folder, as far as it exists and can be removed.

    Args:
        path: The file or folder.
    """
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
