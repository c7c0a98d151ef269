"""Read many images into one uint8 tensor, in threads, each resized immediately."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from medzoo.device import reader_pool
from medzoo.distributed import rank
from medzoo.errors import DatasetError
from medzoo.images.convert import to_uint8
from medzoo.images.depth import DepthCheck
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

    Only the resized images are kept, so the memory does not depend on the size of the files. If all
    16-bit images look like those of a 12-bit scan, there is one warning.

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
    depth = DepthCheck()
    shown = progress if rank() == 0 else False
    with (
        reader_pool(_WORKERS) as pool,
        tqdm(
            total=len(files),
            desc="reading",
            unit="image",
            disable=None if shown is None else not shown,
        ) as bar,
    ):
        for start in range(0, len(files), _BATCH):
            batch = pool.map(partial(_read, size=size, depth=depth), files[start : start + _BATCH])
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
    depth.finish(stacklevel=5)  # the caller of `Dataset.from_...`
    return images, broken


def _read(file: ImageFile, size: int, depth: DepthCheck) -> Tensor | DatasetError:
    try:
        source = file if isinstance(file, Path) else file.read_bytes()
        with ExitStack() as held:
            pixels = read_image(source, name=str(file), depth=depth, held=held)
            image = center_crop_resize(to_uint8(pixels), size)
    except DatasetError as error:
        return error
    except OSError as error:
        return DatasetError(f"cannot read {file}: {error}")
    gray = len(image) == 3 and bool((image[1:] == image[:1]).all())
    return image[:1] if gray else image
