"""What holds for the pixels of every image file: how many there may be, and how they become 8-bit."""

from __future__ import annotations

import numpy as np

MAX_PIXELS = 1 << 26
"""Height times width (8192 x 8192, say) above which a file is refused before it is decoded."""


def check_pixels(width: int, height: int) -> None:
    """Refuse an image that would not fit into memory.

    Args:
        width: As the file's header says.
        height: As the file's header says.

    Raises:
        ValueError: If it has no pixel or more than `MAX_PIXELS`.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels, expected 1 to {MAX_PIXELS:,}")


def to_8_bit(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [low, high] to 0..255; what is outside becomes black or white.

    Args:
        values: Finite numbers, of any shape.
        low: What becomes black.
        high: What becomes white; may be below `low`. If both are equal, all is black.
    """
    scaled = values.astype(np.float64)
    scaled -= low
    scaled *= 255 / (high - low) if high != low else 0.0
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)
