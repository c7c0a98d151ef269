"""Memory-mapped arrays: extracted out of an archive, mapped, and kept from filling the memory."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import weakref
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np

from medzoo.cache import cache_dir, locked
from medzoo.errors import DatasetError

_CHUNK = 1 << 22
# Bytes read out of maps. Far below what may stay in memory: one row read at random can map a whole
# block of the file cache, some 20 times its size.
_RELEASE_AFTER = 16 << 20
_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_unreleased = 0


def open_map(path: Path) -> np.ndarray:
    """Map a .npy file, copy-on-write, which lets PyTorch share it without being able to harm it.

    Args:
        path: The file.
    """
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    if isinstance(array.base, mmap.mmap):
        _maps.add(array.base)
    return array


def release_pages(nbytes: int) -> None:
    """Take note of pixels read, and now and then give the memory of all maps back.

    Pages of a file that a process has looked at count as its memory until the system needs
    room. A container's limit or a colleague's `top` sees them long before that, so they are let
    go of. They stay in the system's file cache: reading them again costs no disk access.

    Args:
        nbytes: How much was read, of whatever images.
    """
    global _unreleased
    if not _maps or not sys.platform.startswith("linux"):  # elsewhere the call means other things
        return
    _unreleased += nbytes
    if _unreleased >= _RELEASE_AFTER:
        _unreleased = 0
        for opened in list(_maps):
            opened.madvise(mmap.MADV_DONTNEED)


def extract(archive: zipfile.ZipFile, path: Path, md5: str, keys: Sequence[str]) -> Path:
    """Make sure that arrays of an archive lie as .npy files in a folder, and return it.

    The folder is beside the archive, or in the cache folder if that cannot be written. Its name
    has the archive's md5 in it, so arrays of another version of the file are never taken for
    these. It appears whole, by one rename: neither a crash nor a second process leaves or sees
    half of it. The bytes are streamed; no array is ever in memory.

    Args:
        archive: The open archive.
        path: Its path.
        md5: Its md5.
        keys: Names of the arrays, without ``.npy``.

    Raises:
        DatasetError: If they cannot be written, e.g. because the disk is full.
        zipfile.BadZipFile: If the archive is damaged.
    """
    name = f"{path.stem}.arrays-{md5[:12]}"
    beside, cached = path.parent / name, cache_dir() / "arrays" / name
    sizes = {f"{key}.npy": archive.getinfo(f"{key}.npy").file_size for key in keys}
    for folder in (beside, cached):
        if _complete(folder, sizes):
            return folder
    folder = beside if os.access(path.parent, os.W_OK) else cached
    with locked(folder):
        if not _complete(folder, sizes):  # else another process was faster
            _write(archive, folder, sizes)
    if folder == beside:
        _remove_stale(path, keep=folder)
    return folder


def _complete(folder: Path, sizes: dict[str, int]) -> bool:
    with suppress(OSError):
        return all((folder / file).stat().st_size == size for file, size in sizes.items())
    return False


def _write(archive: zipfile.ZipFile, folder: Path, sizes: dict[str, int]) -> None:
    partial: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = folder.with_name(f"{folder.name}.{uuid4().hex[:8]}.partial")
        partial.mkdir()
        for file in sizes:
            with archive.open(file) as source, (partial / file).open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK)
        if folder.exists() and not _complete(folder, sizes):
            shutil.rmtree(folder)  # someone removed or cut a file in it
        with suppress(FileExistsError):
            partial.rename(folder)
    except OSError as error:
        if not _complete(folder, sizes):
            needed = sum(sizes.values()) / 1e9
            raise DatasetError(
                f"extracting {archive.filename} into {folder} failed: {error}. It needs "
                f"{needed:.1f} GB there; make room, or put the file into another folder (root=)."
            ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _remove_stale(path: Path, keep: Path) -> None:
    """Remove arrays of earlier versions of this file; maps that are still open stay valid."""
    for folder in path.parent.glob(f"{path.stem}.arrays-{'?' * 12}"):
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
