"""Write files atomically, read only what is a file, and identify content by a digest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from medzoo.errors import WriteError

MAX_DEPTH = 64
"""Levels of nesting up to which JSON is read; functions that walk through it are recursive."""


def regular_file(path: str | Path) -> Path:
    """Return a path after checking that it is a file, which can be read to its end.

    Args:
        path: A file; reading a device or a pipe could take forever.

    Raises:
        FileNotFoundError: If it does not exist.
        IsADirectoryError: If it is a folder.
        OSError: If it is anything else.
    """
    path = Path(path)
    if path.is_file():
        return path
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.stat()
    raise OSError(f"{path} is a device or a pipe, expected a file")


def parse_json(text: str | bytes) -> Any:
    """Return the values in a JSON text of unknown origin.

    Args:
        text: The text.

    Raises:
        ValueError: If it is not JSON, or nested more than `MAX_DEPTH` levels deep.
    """
    with suppress(RecursionError):
        values = json.loads(text)
        level = [values]
        for _ in range(MAX_DEPTH):
            level = [inner for outer in level for inner in _inner(outer)]
            if not level:
                return values
    raise ValueError(f"the JSON text is nested more than {MAX_DEPTH} levels deep")


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: str | Path, what: str) -> Iterator[None]:
    """Turn an `OSError` in a block that writes into one that says what to do.

    Args:
        path: The file or folder that the block writes.
        what: What it is, e.g. ``"the weights"``.

    Raises:
        WriteError: If the block raises an `OSError`, e.g. because the disk is full.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        fix = "free some space, or choose" if error.errno in _FULL else "choose"
        explained = WriteError(
            f"cannot write {what} to {str(path)!r}: {error.strerror or error}; {fix} a folder that "
            "can be written to"
        )
        explained.errno = error.errno
        raise explained from error


def write_atomically(path: str | Path, content: bytes, what: str = "a file") -> Path:
    """Write a file so that readers see either the old or the new content, never a part of it.

    Args:
        path: The file; its folder is created if necessary.
        content: The complete content.
        what: What it is, for the error message, e.g. ``"the weights"``.

    Returns:
        The path.

    Raises:
        WriteError: If it cannot be written; the old content, if any, is then unchanged.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    with writing(path, what):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    return path


def remove_leftovers(path: str | Path) -> None:
    """Remove what `write_atomically` left beside a file in processes that were killed.

    Args:
        path: The file. No other process may be writing it.
    """
    path = Path(path)
    temporary = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}")
    with suppress(OSError):
        for file in path.parent.iterdir():
            if temporary.fullmatch(file.name):
                file.unlink()


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
