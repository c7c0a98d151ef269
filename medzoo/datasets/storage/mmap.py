"""Memory-mapped images: map a file, find a map again, read images in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medzoo.datasets.storage.pages import count_read, find_file, register, was_written
from medzoo.errors import DatasetError, as_whole

# What is copied before the memory of maps may be released. Each row can map a block of 2 MB.
_STEP, _ROWS = 16 << 20, 128  # bytes, rows


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
        register(array)
        return torch.from_numpy(array).as_strided(self.shape, self.stride)


def open_map(path: Path) -> np.ndarray:
    """Memory-map a .npy file, copy-on-write.

    PyTorch requires writable memory: writing into a read-only map would end the process. What is
    written stays in memory, and never reaches the file.

    Args:
        path: The file.

    Raises:
        DatasetError: If it cannot be mapped.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="c")
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} cannot be memory-mapped ({error}); delete the folder {path.parent}, and load "
            "the data set again"
        ) from error
    register(array)
    return array


def find_map(images: Tensor) -> MappedImages | None:
    """Return where images are on disk; None if they are not memory-mapped, or were written to.

    Args:
        images: uint8 images, or a view of some of them.
    """
    mapped = find_file(images)
    if mapped is None or was_written(images):
        return None
    start = images.data_ptr() - mapped.address
    return MappedImages(mapped.path, mapped.offset + start, tuple(images.shape), images.stride())


def iter_chunks(images: Tensor, size: int) -> Iterator[Tensor]:
    """Yield consecutive batches of images, without copying them.

    If the images are memory-mapped, their memory is released between batches.

    Args:
        images: Images (N, ...), in memory or mapped by `open_map`.
        size: Number of images per batch; the last batch may be smaller.

    Yields:
        Views of the images, (at most `size`, ...).

    Raises:
        TypeError: If `size` is not a whole number.
        ValueError: If `size` is below 1.
    """
    return _chunks(images, as_whole("size", size, 1))


def _chunks(images: Tensor, size: int) -> Iterator[Tensor]:
    for chunk in images.split(size):
        yield chunk
        count_read(chunk)


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
    step = max(1, min(_STEP // max(1, images[:1].nbytes), _ROWS))
    for some, target in zip(rows.split(step), out.split(step), strict=True):
        # Copies whole rows, whereas images[rows] would visit every pixel.
        torch.index_select(images, 0, some, out=target)
        count_read(images, some)
    return out
