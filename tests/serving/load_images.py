"""Small image files in several formats."""

import io

import numpy as np
from PIL import Image


def pixels(seed: int, side: int) -> np.ndarray:
    """Smooth noise, gray (side, side)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def write(seed: int, kind: str, side: int = 48, mode: str = "L") -> bytes:
    """The content of an image file.

    Args:
        seed: Other numbers give other images.
        kind: Pillow's name of the format.
        side: Pixels.
        mode: Pillow's mode.
    """
    stream = io.BytesIO()
    Image.fromarray(pixels(seed, side)).convert(mode).save(stream, kind)
    return stream.getvalue()


def write_png(seed: int) -> bytes:
    """A gray PNG file."""
    return write(seed, "PNG")
