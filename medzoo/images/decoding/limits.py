"""What one image file may cost, and how much all images together may hold in memory."""

from __future__ import annotations

import os
from contextlib import ExitStack
from threading import Condition, Lock

MAX_BYTES = 1 << 30
"""Size of a file above which it is refused."""

MAX_PIXELS = 1 << 26
"""Height times width (e.g. 8192 x 8192) above which a file is refused before it is decoded."""

MAX_SCANS = 100
"""Scans of a JPEG file; progressive ones have about ten, and each is a pass over the image."""

MAX_SECONDS = 30
"""Processor time for decoding one file in a worker, which is ended afterwards."""

MAX_WAIT = 4 * MAX_SECONDS
"""Seconds of wall-clock time after which a worker that does not answer is ended."""

MAX_MEMORY = 2 << 30
"""Bytes of address space of a worker."""

MAX_WORKERS = min(4, os.cpu_count() or 1)
"""Workers that decode at the same time."""


def check_size(size: int) -> None:
    """Check the size of a file before it is read.

    Args:
        size: Its bytes.

    Raises:
        ValueError: If it has more than `MAX_BYTES`.
    """
    if size > MAX_BYTES:
        raise ValueError(
            f"it has {size:,} bytes, expected at most {MAX_BYTES:,}; save the image alone, as PNG"
        )


def check_pixels(width: int, height: int) -> int:
    """Check that an image fits into memory, before it is decoded.

    Args:
        width: Width according to the header of the file.
        height: Height according to the header of the file.

    Returns:
        The number of pixels.

    Raises:
        ValueError: If it has no pixels or more than `MAX_PIXELS`.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels, expected 1 to {MAX_PIXELS:,}")
    return width * height


class PixelBudget:
    """Limits the pixels that all threads hold in full size at the same time.

    Any number of small images are decoded side by side, and large ones one after the other, so
    that the memory does not grow with the number of threads.

    Args:
        limit: Pixels at the same time; no image may have more.
    """

    def __init__(self, limit: int = MAX_PIXELS) -> None:
        self._free = limit
        self._changed = Condition()
        self._turn = Lock()  # only one waits, so that small images do not overtake it forever

    def reserve(self, pixels: int, held: ExitStack) -> None:
        """Wait until an image may be decoded.

        Args:
            pixels: Height times width.
            held: Closed when the image is no longer in memory in full size.
        """
        with self._turn, self._changed:
            self._changed.wait_for(lambda: pixels <= self._free)
            self._free -= pixels
        held.callback(self._release, pixels)

    def _release(self, pixels: int) -> None:
        with self._changed:
            self._free += pixels
            self._changed.notify_all()
