"""From the modes of Pillow and from numbers of any range to 8-bit gray or RGB."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.Image import Transpose

from medzoo.images.decoding.pillow import MAX_16_BIT, integer_range, is_white_zero

_STEP_16_BIT = MAX_16_BIT // 255  # 257 values in 16 bits become one in 8 bits
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
    is_inverted = image.mode.startswith("I") and is_white_zero(image)
    white = integer_range(image) if is_inverted else None
    # Not ImageOps.exif_transpose, which also writes the EXIF data again, however large.
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode == "F" or image.mode.startswith("I"):
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


def numbers_to_uint8(values: np.ndarray, full_range: float | None) -> np.ndarray:
    """Convert numbers of any range to 8 bits: by a fixed range if they fit, else by their extremes.

    Args:
        values: Gray values (H, W), integers or floats; infinite ones become black or white, and
            NaN black.
        full_range: The values are scaled from [0, `full_range`] if all of them are in this range.
            If one is not, or if this is None, they are scaled from their minimum and maximum.

    Returns:
        uint8 (H, W).

    Raises:
        ValueError: If no value is finite.
    """
    integers = values.dtype.kind in "iu"
    finite = values if integers else values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("none of its values is a finite number")
    low, high = float(finite.min()), float(finite.max())
    if full_range is not None and low >= 0 and high <= full_range:
        if integers and full_range == MAX_16_BIT:
            return sixteen_bits_to_uint8(values)
        low, high = 0.0, full_range
    if not integers:
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return rescale_to_uint8(values, low, high)


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
