"""Read many images into one uint8 tensor, in threads, each resized immediately."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from medzoo.distributed import rank
from medzoo.errors import DatasetError, WriteError
from medzoo.files import writing
from medzoo.images.file import read_image
from medzoo.images.resize import center_crop_resize

OnError: TypeAlias = Literal["raise", "skip"]

_BATCH = 256  # maximum number of images that wait to be copied into the tensor
_WORKERS = min(8, os.cpu_count() or 1)  # each holds one decoded image, which may be large


class ImageFile(Protocol):
    """An image file: a path, or any object that returns its content; ``str`` gives its name."""

    def read_bytes(self) -> bytes:
        """Return the complete content."""


def read_images(
    files: Sequence[ImageFile],
    size: int,
    *,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> tuple[Tensor, dict[int, DatasetError]]:
    """Read images of any size, format and mode, and resize them to squares of one size.

    Only the resized images are kept, so the memory does not depend on the size of the files.

    Args:
        files: Paths, or other objects with the content of a file.
        size: Height (= width) of the result in pixels; see `center_crop_resize`.
        on_error: ``"raise"``, or ``"skip"`` to continue after an image that cannot be read.
        progress: Whether to show a progress bar; by default only on a terminal.

    Returns:
        uint8 (N, C, size, size), channels last in memory, with one channel if all images are gray
        (including files with three equal channels), else three; and the errors by position, where
        the content of the tensor is undefined.

    Raises:
        DatasetError: If an image cannot be read, unless `on_error` is ``"skip"``.
    """
    from tqdm.auto import tqdm

    images = torch.zeros(len(files), 1, size, size, dtype=torch.uint8)
    broken: dict[int, DatasetError] = {}
    shown = progress if rank() == 0 else False
    with (
        ThreadPoolExecutor(_WORKERS) as pool,
        tqdm(
            total=len(files),
            desc="reading",
            unit="image",
            disable=None if shown is None else not shown,
        ) as bar,
    ):
        for start in range(0, len(files), _BATCH):
            batch = pool.map(partial(_read, size=size), files[start : start + _BATCH])
            for position, image in enumerate(batch, start):
                bar.update()
                if isinstance(image, Tensor):
                    if image.shape[0] > images.shape[1]:
                        images = images.expand(-1, 3, -1, -1)
                        images = images.contiguous(memory_format=torch.channels_last)
                    images[position] = image
                elif on_error == "raise":
                    raise image
                else:
                    broken[position] = image
    return images, broken


def _read(file: ImageFile, size: int) -> Tensor | DatasetError:
    try:
        image = center_crop_resize(_decode(file), size)
    except DatasetError as error:
        return error
    gray = len(image) == 3 and bool((image[1:] == image[:1]).all())
    return image[:1] if gray else image


def _decode(file: ImageFile) -> Tensor:
    """Return an image as uint8 (1 or 3, H, W)."""
    if isinstance(file, Path):
        pixels = torch.from_numpy(read_image(file))
        return pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels.unsqueeze(0)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "image"
        try:
            content = file.read_bytes()
            with writing(copy, f"a temporary copy of {file}"):
                copy.write_bytes(content)
            return _decode(copy)
        except WriteError:
            raise  # says nothing about the image
        except (OSError, DatasetError) as error:
            raise DatasetError(f"cannot read {file}: {error}") from error
