"""Copies of many images: in memory, or in a file that exists for as long as they are used."""

from __future__ import annotations

import math
import os
import shutil
import weakref
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from medzoo.cache import cache_dir, locked
from medzoo.datasets.storage import archive
from medzoo.datasets.storage.mmap import take_rows
from medzoo.datasets.storage.pages import find_file, register
from medzoo.datasets.storage.partial import remove
from medzoo.errors import DatasetError

_STEP = 16 << 20  # bytes that are copied at a time


def gather_rows(sources: Sequence[Tensor], positions: Tensor) -> Tensor:
    """Copy images out of several tensors, in the order of their positions.

    More than `archive.MMAP_ABOVE` bytes from memory-mapped images are written into a file in the
    cache folder, and mapped again. It is removed when the images are no longer used.

    Args:
        sources: uint8 images (N, C, H, W) each, numbered through all tensors.
        positions: Which ones, int64 (M,).

    Returns:
        uint8 (M, C, H, W), channels last in memory.

    Raises:
        DatasetError: If the file cannot be written.
    """
    shape = (len(positions), *sources[0].shape[1:])
    if math.prod(shape) > archive.MMAP_ABOVE and any(map(find_file, sources)):
        return _on_disk(sources, positions, shape)
    images = torch.empty(shape, dtype=torch.uint8, memory_format=torch.channels_last)
    step = max(1, _STEP // math.prod(shape[1:]))
    for some, out in zip(positions.split(step), images.split(step), strict=True):
        _copy(sources, some, out)
    return images


def _copy(sources: Sequence[Tensor], positions: Tensor, out: Tensor) -> None:
    if len(sources) == 1:
        take_rows(sources[0], positions, out)
        return
    first = 0
    for source in sources:
        rows = ((positions >= first) & (positions < first + len(source))).nonzero()[:, 0]
        out[rows] = take_rows(source, positions[rows] - first)
        first += len(source)


def _on_disk(sources: Sequence[Tensor], positions: Tensor, shape: tuple[int, ...]) -> Tensor:
    folder, needed = cache_dir() / "copies", math.prod(shape)
    path = folder / uuid4().hex
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(folder)
            if needed > (free := shutil.disk_usage(folder).free):
                raise OSError(f"only {free / 1e9:.1f} GB are free")
            stack.enter_context(locked(path))  # until the images are no longer used
            stack.callback(remove, path)
            with path.open("xb") as file:
                batch = torch.empty(
                    (max(1, _STEP // math.prod(shape[1:])), *shape[1:]),
                    dtype=torch.uint8,
                    memory_format=torch.channels_last,
                )
                for some in positions.split(len(batch)):
                    _copy(sources, some, batch[: len(some)])
                    file.write(batch[: len(some)].permute(0, 2, 3, 1).numpy().data)
            count, channels, height, width = shape
            array = np.memmap(path, np.uint8, "c", shape=(count, height, width, channels))
        except OSError as error:
            raise DatasetError(
                f"copying images into {path} failed: {error}. They take {needed / 1e9:.1f} GB; "
                "make room, or set XDG_CACHE_HOME to another folder"
            ) from error
        register(array)
        weakref.finalize(array.base, _close, stack.pop_all(), os.getpid())
    return torch.from_numpy(array).permute(0, 3, 1, 2)


def _close(stack: ExitStack, process: int) -> None:
    if os.getpid() == process:  # and not one that was forked, which uses the same file
        stack.close()


def _remove_leftovers(folder: Path) -> None:
    """Remove files of processes that were killed: those that no process has locked."""
    for path in folder.iterdir():
        with suppress(TimeoutError), locked(path, wait=0) as held:
            if held:
                remove(path)
