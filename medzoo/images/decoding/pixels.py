"""From the modes of Pillow and from numbers of any range to 8-bit gray or RGB."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.Image import Transpose

from medzoo.images.decoding.pillow import (
    MAX_16_BIT,
    has_16_bit_colours,
    integer_range,
    is_white_zero,
)

_STEP_16_BIT = MAX_16_BIT // 255  # 257 values in 16 bits become one in 8 bits
_TOLERANCE = 1e-3  # by which the values of a float image may exceed [0, 1]
_BLOCK = 1 << 20  # pixels converted at once, so that intermediate results stay small
_ORIENTATION = 0x0112  # tag of EXIF
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def rescale_to_uint8(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [low, high] linearly to [0, 255]; values outside become black or white.

    Args:
        values: Finite numbers, of any shape.
        low: Value that becomes black.
        high: Value that becomes white; may be below `low`. If both are equal, everything is black.

    Returns:
        uint8, of the same shape.
    """
    scaled = values.astype(np.float64)
    scaled -= low
    scaled *= 255 / (high - low) if high != low else 0.0
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)


def decode_pixels(image: Image.Image) -> np.ndarray:
    """Return the pixels of a PIL image, upright according to EXIF.

    Args:
        image: An image of any mode.

    Returns:
        Modes of numbers (``F``, ``I`` and ``I;16``) as they are, (H, W), or inverted if zero is
        white; every other mode as uint8, (H, W) if gray, else RGB (H, W, 3), with transparency
        blended with black. A transparent value of the modes of numbers is 0.
    """
    image.load()  # Pillow itself turns TIFF files, and then no longer says that they were turned
    holds_numbers = image.mode == "F" or image.mode.startswith("I")
    white = _white(image) if holds_numbers and is_white_zero(image) else None
    # Not ImageOps.exif_transpose, which also writes the EXIF data again, however large.
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    if turn is not None:
        image = image.transpose(turn)
    if holds_numbers:
        numbers = np.asarray(image)
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            numbers = np.where(numbers == transparent, numbers.dtype.type(0), numbers)
        return numbers if white is None else white - numbers
    gray = image.mode in ("1", "L", "LA", "La")
    if not image.has_transparency_data:
        mode = "L" if gray else "RGB"
        return np.array(image if image.mode == mode else image.convert(mode))  # spares a copy
    colours = blend_with_black(np.asarray(image.convert("LA" if gray else "RGBA")))
    return colours[..., 0] if gray else colours


def pixels_to_uint8(image: Image.Image) -> tuple[np.ndarray, int]:
    """Return the pixels of a PIL image in 8 bits, upright, by a range that is known beforehand.

    No image is scaled by its own smallest and largest value: images would not be comparable.

    Args:
        image: An image of any mode; of a file with 16-bit colours, before its pixels are loaded.

    Returns:
        uint8, (H, W) if gray, else RGB (H, W, 3), and the largest value that the image stores in
        16 bits; 0 if it stores other values.

    Raises:
        ValueError: If floats are not in [0, 1], or integers not in the range of their bits; of 32
            bits, that of 16.
    """
    is_deep = has_16_bit_colours(image)
    pixels = decode_pixels(image)
    if pixels.dtype == np.uint8:
        return pixels, int(pixels.max(initial=0)) * MAX_16_BIT // 255 if is_deep else 0
    if pixels.dtype.kind == "f":
        return _floats_to_uint8(pixels), 0
    white = _white(image)
    low, high = (int(pixels.min()), int(pixels.max())) if pixels.size else (0, 0)
    if low < 0 or high > white:
        raise ValueError(
            f"image of mode {image.mode} has values from {low} to {high}, expected 0 to {white}; "
            "window it to that range first, by the same limits for all images"
        )
    if white == MAX_16_BIT:
        return sixteen_bits_to_uint8(pixels), high
    return rescale_to_uint8(pixels, 0, white), 0


def _white(image: Image.Image) -> int:
    """Return the value of white of a mode of numbers; 32-bit integers are read as 16-bit ones."""
    return 1 if image.mode == "F" else integer_range(image) or MAX_16_BIT


def _floats_to_uint8(values: np.ndarray) -> np.ndarray:
    """Scale floats of an image (H, W) from [0, 1] to [0, 255]; refuse others."""
    if values.size:
        check_float_range(float(values.min()), float(values.max()))
    scaled = values * values.dtype.type(255)
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)


def check_float_range(low: float, high: float) -> None:
    """Refuse an image of floats that are not in [0, 1], apart from errors of rounding.

    Args:
        low: Its smallest value; NaN if it has one.
        high: Its largest value; NaN if it has one.

    Raises:
        ValueError: If they are not in this range.
    """
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:  # false for NaN
        return
    found = f"values from {low:g} to {high:g}"
    raise ValueError(
        f"float image has {'NaN as a value' if math.isnan(low) else found}, expected 0 to 1; scale "
        "it to that range first, by the same limits for all images"
    )


def sixteen_bits_to_uint8(values: np.ndarray) -> np.ndarray:
    """Scale by the full range, 65535 to 255, rounded.

    Args:
        values: (H, W) or (H, W, C), integers from 0 to 65535.

    Returns:
        uint8, of the same shape.
    """
    result = np.empty_like(values, dtype=np.uint8)
    for block in _blocks(values):
        result[block] = (values[block].astype(np.int32) + _STEP_16_BIT // 2) // _STEP_16_BIT
    return result


def blend_with_black(pixels: np.ndarray) -> np.ndarray:
    """Multiply colours by their opacity, rounded, and remove the opacity.

    Args:
        pixels: uint8 (H, W, C), of which the last channel is the opacity.

    Returns:
        uint8 (H, W, C - 1).
    """
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    result = np.empty_like(colours)
    for block in _blocks(pixels):
        result[block] = (colours[block] * alpha[block].astype(np.int32) + 127) // 255
    return result


def _blocks(pixels: np.ndarray) -> Iterator[tuple[slice, ...]]:
    """Divide (H, W) or (H, W, C) along its longer side into blocks of about `_BLOCK` pixels."""
    axis = int(pixels.shape[1] > pixels.shape[0])
    step = max(1, _BLOCK // max(1, pixels.shape[1 - axis]))
    for start in range(0, pixels.shape[axis], step):
        yield (slice(None),) * axis + (slice(start, start + step),)
