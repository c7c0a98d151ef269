"""Decoding images in threads, so that costly files delay no ordinary ones."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from medzoo.device import compute_in_threads
from medzoo.images import ImageLike, adapt_channels, center_crop_resize, read_image, to_uint8
from medzoo.images.decoding.bounded import is_bounded
from medzoo.images.decoding.limits import MAX_WORKERS, PixelBudget
from medzoo.images.depth import DepthCheck
from medzoo.spec import InputSpec

_THREADS = min(4, os.cpu_count() or 1)
_LIGHT = 1 << 22
"""Pixels up to which a plain file counts as ordinary."""


class _HeavyError(BaseException):
    """Not an `Exception`, which `read_image` would take for a fault of the file."""


class _LightBudget(PixelBudget):
    """Lets images of ordinary size in, when their header was read on the way to the pixels."""

    def reserve(self, pixels: int, held: ExitStack) -> None:
        """Reserve pixels as `PixelBudget` does, unless they are too many."""
        if pixels > _LIGHT:
            raise _HeavyError
        super().reserve(pixels, held)


@dataclass(frozen=True)
class Decoded:
    """An image in the size and with the channels that a model expects.

    Attributes:
        pixels: uint8 (C, size, size), not yet normalised.
        warning: Why it may look different from what was meant; None if nothing is known.
    """

    pixels: Tensor
    warning: str | None = None


Outcomes: TypeAlias = "list[Decoded | BaseException]"
"""Per image what it is, or a `DatasetError` if it is not a readable image."""


class Decoding:
    """The images of one request while threads decode them.

    Args:
        contents: The contents of files.
        expected: What the model expects.
        done: See `Decoder.start`.
    """

    def __init__(
        self, contents: Sequence[bytes], expected: InputSpec, done: Callable[[Outcomes], None]
    ) -> None:
        self._waiting = dict(enumerate(contents))
        self._finished: dict[int, Decoded | BaseException] = {}
        self._count = len(contents)
        self._expected = expected
        self._done = done
        self._lock = Lock()

    def drop(self) -> None:
        """Forget what has not been decoded: nobody waits for it any more."""
        self._waiting.clear()

    def decode(self, index: int, light: PixelBudget | None = None) -> bool:
        """Decode one of the images, in the calling thread.

        Args:
            index: Which one.
            light: If it is given, only a light file is decoded, within this budget.

        Returns:
            Whether it is finished.
        """
        content = self._waiting.get(index)
        if content is None:
            return True
        outcome: Decoded | BaseException
        try:
            if light and not is_bounded(content):
                return False
            outcome = _decode(content, self._expected, light)
        except _HeavyError:
            return False
        except BaseException as error:
            outcome = error
        with self._lock:
            self._finished[index] = outcome
            is_last = len(self._finished) == self._count
        if is_last:
            self._done([self._finished[index] for index in range(self._count)])
        return True


class Decoder:
    """Threads that decode images.

    There are two groups. Plain JPEG, PNG and BMP files of ordinary size take a millisecond. All
    others (DICOM, TIFF, huge images) may take seconds, in a process of their own, and wait only
    for each other.
    """

    def __init__(self) -> None:
        self._light = ThreadPoolExecutor(_THREADS, "medzoo-decode", compute_in_threads, (1,))
        self._heavy = ThreadPoolExecutor(
            MAX_WORKERS, "medzoo-decode-heavy", compute_in_threads, (1,)
        )
        self._budget = _LightBudget()  # of the light ones, so that no heavy one holds it

    def start(
        self, contents: Sequence[bytes], expected: InputSpec, done: Callable[[Outcomes], None]
    ) -> Decoding:
        """Begin to decode the images of a request as `medzoo.predict` does.

        Args:
            contents: The contents of files.
            expected: What the model expects.
            done: Called in one of the threads when all are finished, with an outcome per image. It
                must not raise errors.
        """
        decoding = Decoding(contents, expected, done)
        for index in range(len(contents)):
            self._light.submit(self._decode, decoding, index)
        return decoding

    def _decode(self, decoding: Decoding, index: int) -> None:
        # Whether it is light is found out here as well: the event loop does not look into files.
        if not decoding.decode(index, self._budget):
            self._heavy.submit(decoding.decode, index)

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


def _fit(image: ImageLike, expected: InputSpec, depth: DepthCheck) -> Tensor:
    """Crop, resize and adapt the channels of one image; uint8 (C, size, size)."""
    with torch.inference_mode():
        pixels = to_uint8(image, depth=depth)
        # In the order of `prepare_batch`, which then changes nothing but the scale.
        narrow = adapt_channels(pixels, min(expected.channels, len(pixels)))
        return adapt_channels(center_crop_resize(narrow, expected.size), expected.channels)


def _fit_all(images: np.ndarray, expected: InputSpec) -> Tensor:
    return torch.stack([_fit(image, expected, DepthCheck()) for image in images])


def _decode(content: bytes, expected: InputSpec, budget: PixelBudget | None = None) -> Decoded:
    depth = DepthCheck()
    with ExitStack() as held:
        pixels = read_image(content, name="the file", depth=depth, held=held, budget=budget)
        image = _fit(pixels, expected, depth).clone()  # without the memory of the large image
    return Decoded(image, depth.message())
