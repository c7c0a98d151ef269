"""Convert any image, of any bit depth, with or without transparency, to 8-bit gray or RGB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from medzoo.images.decoding.pixels import (
    blend_with_black,
    check_float_range,
    pixels_to_uint8,
    sixteen_bits_to_uint8,
)
from medzoo.images.depth import DepthCheck
from medzoo.images.shape import check_dense

ImageLike: TypeAlias = "Image.Image | np.ndarray[Any, Any] | Tensor"
"""One image in memory: a PIL image, or an array or tensor of two or three dimensions."""


def to_uint8(image: ImageLike, *, depth: DepthCheck | None = None) -> Tensor:
    """Convert any image to 8-bit gray or RGB.

    - 16-bit images (PIL's ``I;16`` and ``I``, uint16 arrays) are scaled by the full range, 65535
      to 255; the conversion of Pillow would clip at 255. Images that use only a small part of the
      range (12-bit scans) have to be scaled first; there is a warning if they are not.
    - Floats (also PIL's ``F``) must be in [0, 1]; booleans are black and white.
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
        pixels, highest = pixels_to_uint8(image)
        check.add(highest)
        tensor = _from_array(pixels)
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
    tensor = _depth_to_uint8(tensor)
    return tensor if tensor.shape[0] % 2 else _in_numpy(blend_with_black, tensor)


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
        return _in_numpy(sixteen_bits_to_uint8, tensor)
    if not tensor.is_floating_point():
        raise ValueError(
            f"image has dtype {tensor.dtype}, whose range is not known; convert it to uint8 "
            "(0 to 255), uint16 (0 to 65535) or float (0 to 1)"
        )
    if tensor.itemsize == 1:  # which has no minimum
        tensor = tensor.float()
    check_float_range(float(tensor.min()), float(tensor.max()))
    return (tensor.float() * 255).round().clamp(0, 255).to(torch.uint8)


def _in_numpy(function: Callable[[np.ndarray], np.ndarray], tensor: Tensor) -> Tensor:
    """Apply a function of arrays (H, W, C) to a tensor (C, H, W), on any device."""
    array = function(tensor.permute(1, 2, 0).numpy(force=True))
    return torch.from_numpy(array).permute(2, 0, 1).to(tensor.device)
