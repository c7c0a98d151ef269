"""Write a folder as a whole: either all of its files are there, or it is as before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from medzoo.files import parse_json, writing

MANIFEST = "models.json"
"""The file of an exported page that names, under ``"files"``, all of its files."""


def check_folder(folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Make sure, before the work starts, that a page may be written into a folder.

    Args:
        folder: The folder.
        overwrite: Whether an earlier page may be replaced.

    Returns:
        Its path, links resolved.

    Raises:
        ValueError: If it is a file, has files that are not an earlier page's, or has an earlier
            page and `overwrite` was not given.
        WriteError: If it cannot be written.
    """
    path = Path(os.path.realpath(folder))
    shown = repr(os.fspath(folder))
    if path.exists() and not path.is_dir():
        raise ValueError(f"{shown} is a file; give a folder that does not exist yet")
    if path.is_dir() and any(path.iterdir()):
        known = _files_of_page(path)
        foreign = next((name for name in _files_in(path) if name not in known), None)
        if foreign:
            raise ValueError(
                f"{shown} has files that are not part of an exported page, such as {foreign!r}; "
                "give a folder that does not exist yet"
            )
        if not overwrite:
            raise ValueError(
                f"{shown} already has a page; give another folder, or overwrite=True (on the "
                "command line --overwrite) to replace it"
            )
    with writing(path, "the page"):
        parent = next(parent for parent in path.parents if parent.exists())
        probe = parent / _hidden(path)
        probe.mkdir()
        probe.rmdir()
    return path


def write_folder(path: Path, content: Mapping[str, bytes]) -> None:
    """Write files into a folder that takes its place when it is complete.

    Args:
        path: What `check_folder` returned; an earlier page there is replaced.
        content: The files by their path inside the folder, with ``/`` between the parts.

    Raises:
        WriteError: If they cannot be written; the folder is then as before.
    """
    temporary, old = path.with_name(_hidden(path)), path.with_name(_hidden(path))
    try:
        with writing(path, "the page"):
            for name, data in content.items():
                file = temporary / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            if path.exists():
                path.rename(old)
            try:
                temporary.rename(path)
            except BaseException:
                with suppress(OSError):
                    old.rename(path)
                raise
    finally:
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)


def _hidden(path: Path) -> str:
    return f".{path.name[:100]}.{uuid4().hex}"


def _files_in(folder: Path) -> Iterator[str]:
    for found in folder.rglob("*"):
        if found.is_symlink() or not found.is_dir():
            yield found.relative_to(folder).as_posix()


def _files_of_page(folder: Path) -> set[str]:
    """Return the files that an earlier page in a folder has; none if there is no page."""
    try:
        names = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {MANIFEST, *map(str, names)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
