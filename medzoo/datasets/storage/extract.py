"""Arrays of an archive as files on disk, from which they can be memory-mapped."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from medzoo.cache import cache_dir, locked
from medzoo.datasets.storage.content import content_fact
from medzoo.datasets.storage.partial import partial_path, remove, remove_leftovers
from medzoo.errors import DatasetError

_CHUNK = 1 << 22


def find_extracted(
    archive: zipfile.ZipFile, path: Path, md5: str, keys: Sequence[str]
) -> Path | None:
    """Return the folder with arrays of an archive, if it exists and they are those of the archive.

    The content of the arrays is compared with the checksums (CRC-32) in the archive. This is cached
    until their files change, because reading gigabytes takes seconds.

    Args:
        archive: The open archive.
        path: Its path.
        md5: Its md5.
        keys: Names of the arrays, without ``.npy``.
    """
    members = _members(archive, keys)
    return next((folder for folder in _places(path, md5) if _is_intact(folder, members)), None)


def extract(archive: zipfile.ZipFile, path: Path, md5: str, keys: Sequence[str]) -> Path:
    """Extract arrays of an archive as .npy files into a folder, and return it.

    The folder is next to the archive, or in the cache folder if that place is not writable. Its
    name contains the md5 of the archive. The folder appears complete, by a single rename, so
    neither a crash nor a second process leaves or sees a part of it; what a killed process left
    is removed by the next one. Arrays are streamed, never loaded into memory.

    Args:
        archive: The open archive.
        path: Its path.
        md5: Its md5.
        keys: Names of the arrays, without ``.npy``.

    Raises:
        DatasetError: If the files cannot be written, e.g. because there is not enough space.
        TimeoutError: If another process has been extracting them for too long.
        zipfile.BadZipFile: If the archive is damaged.
    """
    members = _members(archive, keys)
    beside, cached = _places(path, md5)
    folder = beside if os.access(path.parent, os.W_OK) else cached
    with locked(folder) as held:
        if held:
            remove_leftovers(folder)
        if not _is_intact(folder, members):  # else another process was faster
            _write(archive, folder, members)
    if folder == beside:
        _remove_stale(path, keep=folder)
    return folder


def _members(archive: zipfile.ZipFile, keys: Sequence[str]) -> list[zipfile.ZipInfo]:
    return [archive.getinfo(f"{key}.npy") for key in keys]


def _prefix(path: Path) -> str:
    return f"{path.name.removesuffix('.npz')}.arrays-"


def _places(path: Path, md5: str) -> tuple[Path, Path]:
    name = _prefix(path) + md5[:12]
    return path.parent / name, cache_dir() / "arrays" / name


def _is_intact(folder: Path, members: Sequence[zipfile.ZipInfo]) -> bool:
    """Return whether a folder contains the arrays with the content that the archive states."""
    with suppress(OSError):
        sizes = [(folder / member.filename).stat().st_size for member in members]
        if sizes != [member.file_size for member in members]:
            return False
        for member in members:
            with (folder / member.filename).open("rb") as file:
                if content_fact("crc32", file, _crc32) != _stated(member):
                    return False
        return True
    return False


def _stated(member: zipfile.ZipInfo, file: object = None) -> str:
    return f"{member.CRC:08x}"


def _crc32(file: IO[bytes]) -> str:
    value = 0
    while chunk := file.read(_CHUNK):
        value = zlib.crc32(chunk, value)
    return f"{value:08x}"


def _write(archive: zipfile.ZipFile, folder: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    needed = sum(member.file_size for member in members)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if needed > (free := shutil.disk_usage(folder.parent).free):
            raise OSError(f"only {free / 1e9:.1f} GB are free")
        with partial_path(folder) as unfinished:
            unfinished.mkdir()
            for member in members:
                target = unfinished / member.filename
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, _CHUNK)
            remove(folder)  # a file in it was removed or damaged
            unfinished.rename(folder)
        for member in members:  # zipfile has compared the checksums
            with (folder / member.filename).open("rb") as file:
                content_fact("crc32", file, partial(_stated, member), trust=False)
    except OSError as error:
        if not _is_intact(folder, members):  # else a process without a lock was faster
            raise DatasetError(
                f"extracting {archive.filename} into {folder} failed: {error}. It needs "
                f"{needed / 1e9:.1f} GB there; make room, or put the file into another folder "
                "(root=)."
            ) from error


def _remove_stale(path: Path, keep: Path) -> None:
    """Remove arrays of earlier versions of this file; maps that are still open remain valid."""
    version = re.compile(rf"({re.escape(_prefix(path))}[0-9a-f]{{12}})(\.[0-9a-f]{{8}}\.partial)?")
    with suppress(OSError):
        found = [version.fullmatch(other.name) for other in path.parent.iterdir()]
        for folder in {path.parent / match[1] for match in found if match} - {keep}:
            with suppress(TimeoutError), locked(folder, wait=0) as held:
                if held:  # else another process may be extracting it now
                    remove_leftovers(folder)
                    remove(folder)
