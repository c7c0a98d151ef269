"""Convert any image, of any bit depth, with or without transparency, to 8-bit gray or RGB."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from medzoo.images.depth import DepthCheck
from medzoo.images.pillow import (
    MAX_12_BIT,
    MAX_16_BIT,
    has_16_bit_colours,
    integer_range,
    is_white_zero,
)
from medzoo.images.shape import check_dense

ImageLike: TypeAlias = "Image.Image | np.ndarray[Any, Any] | Tensor"
"""One image in memory: a PIL image, or an array or tensor of two or three dimensions."""

_STEP_16_BIT = MAX_16_BIT // 255  # 257 values in 16 bits become one in 8 bits
_TOLERANCE = 1e-3  # by which the values of a float image may exceed [0, 1]
_WITH_ALPHA = ("la", "pa", "rgba")  # in upper case, or partly in lower case if premultiplied
_BLOCK = 1 << 20  # pixels converted at once, so that intermediate results stay small

MAX_PIXELS = 1 << 26
"""Height times width (e.g. 8192 x 8192) above which a file is refused before it is decoded."""


def check_pixels(width: int, height: int) -> None:
    """Check that an image fits into memory, before it is decoded.

    Args:
        width: Width according to the header of the file.
        height: Height according to the header of the file.

    Raises:
        ValueError: If it has no pixels or more than `MAX_PIXELS`.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels, expected 1 to {MAX_PIXELS:,}")


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


def to_uint8(image: ImageLike, *, depth: DepthCheck | None = None) -> Tensor:
    """Convert any image to 8-bit gray or RGB.

    - 16-bit images (PIL's ``I;16`` and ``I``, uint16 arrays) are scaled by the full range, 65535
      to 255; the conversion of Pillow would clip at 255. Images that use only a small part of the
      range (12-bit scans) have to be scaled first; there is a warning if they are not.
    - Floats (also PIL's ``F``) are in [0, 1]; booleans are black and white.
    - Transparency is blended with black. Palettes, CMYK and other colour spaces become RGB.
    - A PIL image with an EXIF orientation is rotated upright.

    Args:
        image: A PIL image; an array (H, W) or (H, W, C); or a tensor (H, W) or (C, H, W); with 1
            (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha) channels.
        depth: Takes note of 16-bit values, to give one warning for several images; by default the
            warning is about this image.

    Returns:
        uint8 (1, H, W) or (3, H, W).

    Raises:
        TypeError: If it is not an image.
        ValueError: If its shape, dtype or values are not among these.
    """
    check = depth or DepthCheck()
    if isinstance(image, Image.Image):
        tensor = _from_array(_checked_pixels(image, check))
    elif isinstance(image, np.ndarray):
        if image.dtype.kind not in "biuf":
            raise ValueError(
                f"image has dtype {image.dtype}, expected uint8, uint16, bool or float"
            )
        tensor = _from_array(image)
    elif isinstance(image, Tensor):
        check_dense(image)
        tensor = image.detach()
    else:
        raise TypeError(
            f"{type(image).__name__} is not an image; expected a PIL image, a NumPy array or a "
            "tensor"
        )
    if tensor.ndim == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim != 3 or not 1 <= tensor.shape[0] <= 4 or tensor.numel() == 0:
        raise ValueError(
            f"image has shape {tuple(getattr(image, 'shape', tensor.shape))}, expected one image: "
            "an array (H, W) or (H, W, C), or a tensor (H, W) or (C, H, W), with 1 to 4 channels; "
            "prepare_batch accepts batches"
        )
    if tensor.dtype == torch.uint16:
        check.add(int(tensor.numpy(force=True).max()))
    if depth is None:
        check.finish()
    return _blend_with_black(_depth_to_uint8(tensor))


def decode_pixels(image: Image.Image) -> np.ndarray:
    """Return the pixels of a PIL image, upright according to EXIF.

    Args:
        image: An image of any mode.

    Returns:
        Modes of numbers (``F``, ``I`` and ``I;16``) as they are, (H, W), or inverted if zero is
        white; every other mode as uint8, (H, W) if gray, else RGB (H, W, 3), with transparency
        blended with black.
    """
    is_inverted = image.mode.startswith("I") and is_white_zero(image)
    white = integer_range(image) if is_inverted else None
    image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        numbers = np.asarray(image)
        return numbers if white is None else white - numbers
    gray = image.mode in ("1", "L", "LA", "La")
    if image.mode.lower() not in _WITH_ALPHA and "transparency" not in image.info:
        return np.array(image.convert("L" if gray else "RGB"))
    pixels = np.array(image.convert("LA" if gray else "RGBA"))
    colours = _blend_with_black(_from_array(pixels)).permute(1, 2, 0).numpy()
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
            return _depth_to_uint8(torch.from_numpy(values.astype(np.uint16))).numpy()
        low, high = 0.0, full_range
    if not integers:
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return rescale_to_uint8(values, low, high)


def _checked_pixels(image: Image.Image, depth: DepthCheck) -> np.ndarray:
    """Return the pixels of a PIL image; refuse integers that are not 16-bit."""
    is_deep = has_16_bit_colours(image)
    pixels = decode_pixels(image)
    if is_deep:
        depth.add(int(pixels.max()) * MAX_16_BIT // 255)
    if not image.mode.startswith("I"):
        return pixels
    if integer_range(image) == MAX_12_BIT:
        return numbers_to_uint8(pixels, MAX_12_BIT)
    if pixels.size and (pixels.min() < 0 or pixels.max() > MAX_16_BIT):
        raise ValueError(
            f"image of mode {image.mode} has values from {pixels.min()} to {pixels.max()}, "
            f"expected 0 to {MAX_16_BIT}; window it to that range first"
        )
    return pixels.astype(np.uint16)


def _from_array(array: np.ndarray) -> Tensor:
    """Return an array (H, W) or (H, W, C) as a tensor (H, W) or (C, H, W)."""
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    tensor = torch.from_numpy(native if native.flags.writeable else native.copy())
    return tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor


def _depth_to_uint8(tensor: Tensor) -> Tensor:
    """Convert any supported dtype to uint8."""
    if tensor.dtype == torch.uint8:
        return tensor
    if tensor.dtype == torch.bool:
        return tensor.to(torch.uint8) * 255
    if tensor.dtype == torch.uint16:
        return _sixteen_bits_to_uint8(tensor)
    if not tensor.is_floating_point():
        raise ValueError(
            f"image has dtype {tensor.dtype}, whose range is not known; convert it to uint8 "
            "(0 to 255), uint16 (0 to 65535) or float (0 to 1)"
        )
    if tensor.itemsize == 1:  # which has no minimum
        tensor = tensor.float()
    low, high = float(tensor.min()), float(tensor.max())
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # also if one of them is NaN
        raise ValueError(f"float image has values from {low:g} to {high:g}, expected 0 to 1")
    return (tensor.float() * 255).round().clamp(0, 255).to(torch.uint8)


def _sixteen_bits_to_uint8(tensor: Tensor) -> Tensor:
    result = torch.empty_like(tensor, dtype=torch.uint8)
    for target, values in zip(_blocks(result), _blocks(tensor), strict=True):
        target.copy_((values.to(torch.int32) + _STEP_16_BIT // 2) // _STEP_16_BIT)
    return result


def _blend_with_black(tensor: Tensor) -> Tensor:
    """Remove the alpha channel of uint8 (2 or 4, H, W), if there is one."""
    if tensor.shape[0] % 2:
        return tensor
    colours = tensor[:-1]
    result = torch.empty_like(colours)
    for target, colour, alpha in zip(
        _blocks(result), _blocks(colours), _blocks(tensor[-1:]), strict=True
    ):
        target.copy_((colour.int() * alpha.int() + 127) // 255)
    return result


def _blocks(tensor: Tensor) -> tuple[Tensor, ...]:
    """Split (C, H, W), or (H, W), along its longer side into views of about `_BLOCK` pixels."""
    height, width = tensor.shape[-2:]
    dim, shorter = (-2, width) if height >= width else (-1, height)
    return tensor.split(max(1, _BLOCK // max(1, shorter)), dim)
