"""The memory of copy-on-write maps: give back what was only read, keep what was written."""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

_PAGEMAP = "/proc/self/pagemap"
# Reading one row can map all pages of such a block (an entry of the upper page table).
_BLOCK = 2 << 20
_RELEASE_AFTER = 512 << 20  # bytes of blocks that may have been mapped
_LEAST = 64 << 10  # bytes that a call counts, so that there are not too many calls to remember
_FIRST = np.zeros(1, np.int64)
# Top bytes of the entries of pages that are not private: neither in memory nor swapped out
# (bits 63 and 62), or a page of the file (bit 61).
_SHARED = bytes(byte for byte in range(256) if byte >> 5 not in (0b100, 0b010))

_maps: weakref.WeakKeyDictionary[mmap.mmap, MappedFile] = weakref.WeakKeyDictionary()
# What was read since memory was last released: rows, the address of row 0, bytes from row to row,
# and bytes per row; and at most how many bytes of blocks that has mapped.
_read: list[tuple[np.ndarray, int, int, int]] = []
_unreleased = 0


@dataclass(frozen=True)
class MappedFile:
    """A part of a file that is in memory: its path, and where it is in the file and in memory."""

    path: Path
    offset: int
    address: int
    nbytes: int


def register(array: np.memmap) -> None:
    """Note that an array is a map, so that its memory can be released.

    Args:
        array: The array, mapped copy-on-write.
    """
    base: object = array.base  # NumPy's type says that it is an array
    if isinstance(base, mmap.mmap) and array.filename is not None:
        path = Path(array.filename).absolute()
        _maps[base] = MappedFile(path, array.offset, array.ctypes.data, array.nbytes)


def find_file(images: Tensor) -> MappedFile | None:
    """Return the map that contains images, if there is one.

    Args:
        images: Images, or a view of some of them.
    """
    address = images.data_ptr()
    for mapped in list(_maps.values()):
        if images.numel() and 0 <= address - mapped.address < mapped.nbytes:
            return mapped
    return None


def was_written(images: Tensor) -> bool:
    """Return whether images of a map differ from the file because they were written to.

    Where the system does not say which pages were, only writes through PyTorch are noticed.

    Args:
        images: Images, or a view of some of them.
    """
    start = images.data_ptr()
    try:
        return _has_private(start, start + extent(images))
    except OSError:
        return not images.is_inference() and images._version > 0


def extent(images: Tensor, start: int = 0) -> int:
    """Return the bytes from the first to the last element of a tensor, or of one of its rows.

    Args:
        images: A tensor with at least one element.
        start: First axis: 1 for a row.
    """
    steps = zip(images.shape[start:], images.stride()[start:], strict=True)
    return (sum((n - 1) * step for n, step in steps) + 1) * images.element_size()


def count_read(images: Tensor, rows: Tensor | None = None) -> None:
    """Count the bytes read from images, and from time to time release the memory of maps.

    Pages of a mapped file that a process has read count as its memory until the system needs
    room. The memory limit of a container is reached long before that, so they are released
    earlier. They stay in the file cache of the system: reading them again needs no disk access.
    Pages that were written to have no other copy, so they are kept. (A page that another thread
    writes to for the first time at the very moment of its release is not recognised.)

    Args:
        images: The images, whether or not from a map.
        rows: Positions of those that were read, int64 (M,); all if None.
    """
    global _unreleased
    if not (_maps and _CAN_RELEASE and images.numel() and images.is_cpu):
        return
    item, address = images.element_size(), images.data_ptr()
    if rows is None:
        _read.append((_FIRST, address, 0, extent(images)))
        mapped = extent(images)
    else:
        step, length = images.stride(0) * item, extent(images, start=1)
        _read.append((rows.numpy().copy(), address, step, length))
        # A row can map the whole block that it is in.
        mapped = min(len(rows) * max(length, _BLOCK), extent(images))
    _unreleased += max(mapped, _LEAST)
    if _unreleased >= _RELEASE_AFTER:
        _unreleased = 0
        _release_read()


def _release_read() -> None:
    global _read
    read, _read = _read, []
    numbers = [np.empty(0, np.int64)]
    for rows, address, step, length in read:
        starts = address + rows * step
        first, last = starts // _BLOCK, (starts + length - 1) // _BLOCK
        width = int((last - first).max(initial=0)) + 1
        numbers.append((first[:, None] + np.arange(width)).ravel())
    blocks = np.unique(np.concatenate(numbers))
    for run in np.split(blocks, np.flatnonzero(np.diff(blocks) > 1) + 1) if len(blocks) else ():
        start, stop = int(run[0]) * _BLOCK, (int(run[-1]) + 1) * _BLOCK
        for opened, mapped in list(_maps.items()):
            begin = mapped.address - mapped.offset % mmap.ALLOCATIONGRANULARITY
            low, high = max(start, begin), min(stop, begin + len(opened))
            if low < high:
                _release(opened, begin, low, high)


def _release(opened: mmap.mmap, begin: int, start: int, stop: int) -> None:
    """Release a range of addresses, except for the blocks in which a page was written to."""
    if not _has_private(start, stop):
        opened.madvise(mmap.MADV_DONTNEED, start - begin, stop - start)
    elif stop - start > _BLOCK:
        middle = (start + stop) // 2 // _BLOCK * _BLOCK
        middle = middle if middle > start else middle + _BLOCK
        _release(opened, begin, start, middle)
        _release(opened, begin, middle, stop)


def _has_private(start: int, stop: int) -> bool:
    """Return whether a page in a range of addresses is a copy of this process.

    Raises:
        OSError: If the system does not say so.
    """
    first, last = start // mmap.PAGESIZE, -(-stop // mmap.PAGESIZE)
    # Opened each time: an open one keeps describing the parent process after a fork.
    file = os.open(_PAGEMAP, os.O_RDONLY)
    try:
        entries = os.pread(file, 8 * (last - first), 8 * first)
    finally:
        os.close(file)
    if len(entries) != 8 * (last - first):
        raise OSError(f"{_PAGEMAP} ends early")
    top = entries[7::8] if sys.byteorder == "little" else entries[::8]
    return bool(top.translate(None, _SHARED))


def _can_release() -> bool:
    """Return whether written pages can be told from others; MADV_DONTNEED would drop both."""
    try:
        probe = np.zeros(1, np.uint8)
        return sys.platform == "linux" and _has_private(probe.ctypes.data, probe.ctypes.data + 1)
    except OSError:
        return False


_CAN_RELEASE = _can_release()
