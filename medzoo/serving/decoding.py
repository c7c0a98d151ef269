"""Decoding images in threads, so that costly files delay no ordinary ones."""

from __future__ import annotations

import asyncio
import io
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits
from torch import Tensor

from medzoo.images import ImageLike, adapt_channels, center_crop_resize, read_image, to_uint8
from medzoo.images.decoding.bounded import BOUNDED_FORMATS, is_bounded
from medzoo.images.decoding.limits import MAX_WORKERS, PixelBudget
from medzoo.images.depth import DepthCheck
from medzoo.spec import InputSpec

_THREADS = min(4, os.cpu_count() or 1)
_LIGHT = 1 << 22
"""Pixels up to which a plain file counts as ordinary."""


@dataclass(frozen=True)
class Decoded:
    """An image in the size and with the channels that a model expects.

    Attributes:
        pixels: uint8 (C, size, size), not yet normalised.
        warning: Why it may look different from what was meant; None if nothing is known.
    """

    pixels: Tensor
    warning: str | None = None


class Decoder:
    """Threads that decode images.

    There are two groups. Plain JPEG, PNG and BMP files of ordinary size take a millisecond. All
    others (DICOM, TIFF, huge images) may take seconds, in a process of their own, and wait only
    for each other.
    """

    def __init__(self) -> None:
        self._light = ThreadPoolExecutor(_THREADS, "medzoo-decode", _compute_alone)
        self._heavy = ThreadPoolExecutor(MAX_WORKERS, "medzoo-decode-heavy", _compute_alone)
        self._budget = PixelBudget()  # of the light ones, so that no heavy one holds it

    async def decode(self, content: bytes, expected: InputSpec) -> Decoded:
        """Decode one image as `medzoo.predict` does.

        Args:
            content: The content of a file.
            expected: What the model expects.

        Raises:
            DatasetError: If it is not a readable image.
        """
        loop = asyncio.get_running_loop()
        # Whether it is light is found out there as well: the event loop does not look into files.
        decoded = await loop.run_in_executor(
            self._light, _decode_if_light, content, expected, self._budget
        )
        if decoded is not None:
            return decoded
        return await loop.run_in_executor(self._heavy, _decode, content, expected)

    async def fit(self, images: np.ndarray, expected: InputSpec) -> Tensor:
        """Prepare pixels as `decode` prepares those of files.

        Args:
            images: uint8 (N, H, W, C).
            expected: What the model expects.

        Returns:
            uint8 (N, C, size, size).
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._light, _fit_all, images, expected)


def _compute_alone() -> None:
    """Let PyTorch compute in this thread alone.

    By default, OpenMP keeps a pool of threads for every thread that computes. That costs more than
    it saves for one image, and with more threads than processors, those that the batches need are
    slow to wake up.
    """
    torch.get_num_threads()  # when a thread first asks, PyTorch sets its own number
    threadpool_limits(1, user_api="openmp")


def _fit(image: ImageLike, expected: InputSpec, depth: DepthCheck) -> Tensor:
    """Crop, resize and adapt the channels of one image; uint8 (C, size, size)."""
    with torch.inference_mode():
        pixels = to_uint8(image, depth=depth)
        # In the order of `prepare_batch`, which then changes nothing but the scale.
        narrow = adapt_channels(pixels, min(expected.channels, len(pixels)))
        return adapt_channels(center_crop_resize(narrow, expected.size), expected.channels)


def _fit_all(images: np.ndarray, expected: InputSpec) -> Tensor:
    return torch.stack([_fit(image, expected, DepthCheck()) for image in images])


def _decode_if_light(content: bytes, expected: InputSpec, budget: PixelBudget) -> Decoded | None:
    return _decode(content, expected, budget) if _is_light(content) else None


def _decode(content: bytes, expected: InputSpec, budget: PixelBudget | None = None) -> Decoded:
    depth = DepthCheck()
    with ExitStack() as held:
        pixels = read_image(content, name="the file", depth=depth, held=held, budget=budget)
        image = _fit(pixels, expected, depth).clone()  # without the memory of the large image
    return Decoded(image, depth.message())


def _is_light(content: bytes) -> bool:
    if not is_bounded(content):
        return False
    try:
        with Image.open(io.BytesIO(content), formats=BOUNDED_FORMATS) as image:
            return image.width * image.height <= _LIGHT
    except Exception:  # decoders raise many kinds of errors; decoding it will say which
        return False
