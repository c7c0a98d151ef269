"""Write files atomically, read only what is a file, and identify content by a digest."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import mkstemp
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
    if "\0" in str(path):
        raise OSError(errno.EINVAL, _NULL, str(path))
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


def check_json(name: str, value: Any, level: int = 0) -> None:
    """Make sure that a value can be written as JSON and is the same when it is read.

    Args:
        name: What it is called in errors.
        value: Text, a finite number, a boolean, None, or lists and dictionaries of these.
        level: How deep it is nested in what is written.

    Raises:
        TypeError: If JSON has no such type, or a key is not text.
        ValueError: If a number is not finite, or values are nested more than `MAX_DEPTH` levels
            deep.
    """
    if level > MAX_DEPTH:
        raise ValueError(f"{name:.80}... is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{name} has the key {key!r:.80}, expected text")
            check_json(f"{name}[{key!r:.80}]", inner, level + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            check_json(f"{name}[{index}]", inner, level + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(
                f"{name}={value!r} is not a finite number, which JSON cannot hold; give None"
            )
    elif value is not None and not isinstance(value, str | int):
        raise TypeError(
            f"{name}={value!r:.80} is of type {type(value).__name__}, expected text, a number, a "
            "boolean, None, or lists and dictionaries of these"
        )


_NULL = "it contains a null character, which no name of a file may"
_FIXES = {
    errno.EINVAL: "choose another name",
    errno.EISDIR: "give a file in it",
    errno.ENAMETOOLONG: "choose a shorter name",
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        "free some space, or choose a folder that can be written to",
    ),
}
_LONGEST = 200  # bytes of a name that temporary names contain; the limit for names is 255
_NOBODYS = 24 * 3600  # seconds after which a temporary file is not being written any more


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
        if "\0" in str(path):
            raise OSError(errno.EINVAL, _NULL)
        yield
    except WriteError:
        raise
    except OSError as error:
        fix = _FIXES.get(error.errno or 0, "choose a folder that can be written to")
        explained = WriteError(
            f"cannot write {what} to {str(path)!r}: {error.strerror or error}; {fix}"
        )
        explained.errno = error.errno
        raise explained from error


def write_atomically(path: str | Path, content: bytes, what: str = "a file") -> Path:
    """Write a file so that readers see either the old or the new content, never a part of it.

    The content is written into a new file beside it, which then takes its place: after a crash at
    any moment there is the old or the new content. A link is followed, and owner and mode of an
    existing file are kept; other hard links to it keep the old content. A device, a pipe, or this
    process's own output (``/dev/stdout``) is written into. What a killed process has left beside
    the file is removed.

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
    with writing(path, what):
        target, old = _destination(path)
        if old is not None and not _is_replaced(old):
            own = _own_output(old)
            with open(path if own is None else own, "wb", closefd=own is None) as stream:
                stream.write(content)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, old, content)
    return path


def remove_leftovers(path: str | Path) -> None:
    """Remove what `write_atomically` left beside a file in processes that were killed.

    Args:
        path: The file. No other process may be writing it.
    """
    path = Path(path)
    _remove_leftovers(path.parent, _prefix(path), math.inf)


def check_writable(path: str | Path, what: str = "a file") -> None:
    """Make sure, before the work starts, that `write_atomically` can write a file.

    Args:
        path: The file. Neither it nor its folder is created.
        what: What it is, for the error message.

    Raises:
        WriteError: If it cannot be written.
    """
    with writing(path, what):
        target, old = _destination(Path(path))
        if old is None or _is_replaced(old):
            folder = next(parent for parent in target.parents if parent.exists())
            # Permissions are not enough: root has all of them, but cannot write everywhere.
            handle, name = mkstemp(prefix=_prefix(target), dir=folder)
            os.close(handle)
            Path(name).unlink()


def _destination(path: Path) -> tuple[Path, os.stat_result | None]:
    """Return the file that a path leads to, and what is known of it if it exists."""
    real = Path(os.path.realpath(path))
    # An open file in /proc may have no path; "new/../a" is "a" before there is a folder "new".
    there = path if path.exists() else real
    try:
        old = there.stat()
    except FileNotFoundError:
        return real, None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not os.access(there, os.W_OK):  # although its folder may allow to replace it
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return real, old


def _is_replaced(old: os.stat_result) -> bool:
    return stat.S_ISREG(old.st_mode) and _own_output(old) is None


def _own_output(old: os.stat_result) -> int | None:
    """Return this process's standard output or error if that is the file."""
    for handle in (1, 2):
        with suppress(OSError):
            if os.path.samestat(old, os.fstat(handle)):
                return handle
    return None


def _replace(target: Path, old: os.stat_result | None, content: bytes) -> None:
    prefix = _prefix(target)
    temporary = target.with_name(prefix + uuid4().hex)
    mode = 0o666 if old is None else 0o600  # what replaces a private file is never public
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as stream:
            _remove_leftovers(target.parent, prefix, os.fstat(stream.fileno()).st_mtime)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if old is not None:
            _keep_owner_and_mode(target, old, temporary)
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # network file systems and Windows cannot
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _prefix(path: Path) -> str:
    """Return how the names of a file's temporary files begin, within the limits for names."""
    name = os.fsencode(path.name)
    return f".{path.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()}."


def _remove_leftovers(folder: Path, prefix: str, now: float) -> None:
    """Remove temporary files of processes that were killed while they wrote the same file.

    A process has all of the content before it creates its temporary file, and writes it without a
    pause. So one that has not changed for a day, by the clock of its own file system, is nobody's.
    """
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208  # makes no Path of each
            if name.startswith(prefix) and re.fullmatch("[0-9a-f]{32}", name[len(prefix) :]):
                leftover = folder / name
                if leftover.lstat().st_mtime < now - _NOBODYS:
                    leftover.unlink()


def _keep_owner_and_mode(target: Path, old: os.stat_result, new: Path) -> None:
    """Give a file the owner, group, mode and access list of the one that it replaces."""
    for owner in ((-1, old.st_gid), (old.st_uid, -1)):  # most users may change only the group
        with suppress(OSError, AttributeError):  # Windows has no owners
            os.chown(new, *owner)
    with suppress(OSError):  # what cannot be kept leaves the file more private
        shutil.copystat(target, new)
        if new.stat().st_gid != old.st_gid:
            new.chmod(stat.S_IMODE(old.st_mode) & ~stat.S_IRWXG)  # the rights of another group
        os.utime(new)


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
