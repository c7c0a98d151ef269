"""Memory-mapped arrays: extract them from an archive, map them, read them in little memory."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import weakref
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from medzoo.cache import cache_dir, locked
from medzoo.errors import DatasetError

_CHUNK = 1 << 22
# Bytes read from maps. Far below what may stay in memory, because reading one row at random can
# map a whole block of the file cache, which is about 20 times larger.
_RELEASE_AFTER = 16 << 20
_maps: weakref.WeakKeyDictionary[mmap.mmap, _MappedFile] = weakref.WeakKeyDictionary()
_unreleased = 0


@dataclass(frozen=True)
class _MappedFile:
    """A part of a file that is in memory: its path, and where it is in the file and in memory."""

    path: Path
    offset: int
    address: int
    nbytes: int


@dataclass(frozen=True)
class MappedImages:
    """Where memory-mapped images are on disk: what is pickled instead of them.

    Attributes:
        path: The mapped file.
        offset: Byte in the file at which the images start.
        shape: Shape of the tensor.
        stride: Its strides, in bytes.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def open(self) -> Tensor:
        """Map the images again.

        Raises:
            DatasetError: If the file no longer exists, or has become shorter.
        """
        last = sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        try:
            array = np.memmap(self.path, np.uint8, "c", offset=self.offset, shape=(last + 1,))
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"the memory-mapped images in {self.path} cannot be opened ({error}); load the "
                "data set again, on the machine that has its files"
            ) from error
        _remember(array)
        return torch.from_numpy(array).as_strided(self.shape, self.stride)


def open_map(path: Path) -> np.ndarray:
    """Memory-map a .npy file, copy-on-write.

    PyTorch requires writable memory; copy-on-write provides it without risk for the file.

    Args:
        path: The file.
    """
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    if isinstance(array, np.memmap):
        _remember(array)
    return array


def _remember(array: np.memmap) -> None:
    base: Any = array.base  # NumPy's type says that it is an array
    if isinstance(base, mmap.mmap) and array.filename is not None:
        path = Path(array.filename).absolute()
        _maps[base] = _MappedFile(path, array.offset, array.ctypes.data, array.nbytes)


def find_map(images: Tensor) -> MappedImages | None:
    """Return where images are on disk, or None if they are not memory-mapped.

    Args:
        images: uint8 images, or a view of some of them.
    """
    for mapped in _maps.values():
        start = images.data_ptr() - mapped.address
        if images.numel() and 0 <= start < mapped.nbytes:
            return MappedImages(
                mapped.path, mapped.offset + start, tuple(images.shape), images.stride()
            )
    return None


def iter_chunks(images: Tensor, size: int) -> Iterator[Tensor]:
    """Yield consecutive batches of images, without copying them.

    If the images are memory-mapped, their memory is released between batches.

    Args:
        images: Images (N, ...), in memory or mapped by `open_map`.
        size: Number of images per batch; the last batch may be smaller.

    Yields:
        Views of the images, (at most `size`, ...).

    Raises:
        ValueError: If `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"size={size!r} must be at least 1 image per batch")
    return _chunks(images, size)


def _chunks(images: Tensor, size: int) -> Iterator[Tensor]:
    for chunk in images.split(size):
        yield chunk
        _release_pages(chunk.nbytes)


def take_rows(images: Tensor, rows: Tensor, out: Tensor | None = None) -> Tensor:
    """Copy the images at given positions into one batch.

    If the images are memory-mapped, their memory is released from time to time.

    Args:
        images: Images (N, C, H, W), in memory or mapped by `open_map`.
        rows: Positions, int64 (M,), each from 0 to N - 1; they may repeat.
        out: Where to write the images, (M, C, H, W); newly allocated by default.

    Returns:
        (M, C, H, W): `out`, if it was given, else a tensor with channels last in memory.
    """
    if out is None:
        shape = (len(rows), *images.shape[1:])
        out = torch.empty(
            shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last
        )
    step = max(1, _RELEASE_AFTER // max(1, images[:1].nbytes))
    for some, target in zip(rows.split(step), out.split(step), strict=True):
        # Copies whole rows, whereas images[rows] would visit every pixel.
        torch.index_select(images, 0, some, out=target)
        _release_pages(target.nbytes)
    return out


def _release_pages(nbytes: int) -> None:
    """Count the bytes read from maps, and from time to time release the memory of all maps.

    Pages of a mapped file that a process has read count as its memory until the system needs
    room. The memory limit of a container is reached long before that, so they are released
    earlier. They stay in the file cache of the system: reading them again needs no disk access.

    Args:
        nbytes: Number of bytes read, whether or not from a map.
    """
    global _unreleased
    if not _maps or not sys.platform.startswith("linux"):  # elsewhere the flag means other things
        return
    _unreleased += nbytes
    if _unreleased >= _RELEASE_AFTER:
        _unreleased = 0
        for opened in list(_maps):
            opened.madvise(mmap.MADV_DONTNEED)


def extract(archive: zipfile.ZipFile, path: Path, md5: str, keys: Sequence[str]) -> Path:
    """Extract arrays of an archive as .npy files into a folder, if not done yet, and return it.

    The folder is next to the archive, or in the cache folder if that place is not writable. Its
    name contains the md5 of the archive, so arrays of another version of the file are never
    confused with these. The folder appears complete, by a single rename, so neither a crash nor a
    second process leaves or sees a part of it. Arrays are streamed, never loaded into memory.

    Args:
        archive: The open archive.
        path: Its path.
        md5: Its md5.
        keys: Names of the arrays, without ``.npy``.

    Raises:
        DatasetError: If the files cannot be written, e.g. because the disk is full.
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
            shutil.rmtree(folder)  # a file in it was removed or truncated
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
    """Remove arrays of earlier versions of this file; maps that are still open remain valid."""
    for folder in path.parent.glob(f"{path.stem}.arrays-{'?' * 12}"):
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
