"""Write files atomically, and identify their content by a digest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from uuid import uuid4


def write_atomically(path: str | Path, content: bytes) -> Path:
    """Write a file so that readers see either the old or the new content, never a part of it.

    Args:
        path: The file; its folder is created if necessary.
        content: The complete content.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file as hexadecimal digits.

    Args:
        path: The file.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
