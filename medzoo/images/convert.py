"""Any image, of any depth and with or without transparency, into 8-bit gray or RGB."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

ImageLike: TypeAlias = "Image.Image | np.ndarray[Any, Any] | Tensor"
"""One image in memory: a PIL image, or an array or tensor of two or three dimensions."""

_FULL_16_BIT = 257  # 65535 / 255
_ROUNDING = 1e-3  # by which a float image may miss [0, 1]
_WITH_ALPHA = ("la", "pa", "rgba")  # in upper case, or partly in lower case if premultiplied

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


def to_uint8(image: ImageLike) -> Tensor:
    """Turn any image into 8-bit gray or RGB.

    - 16-bit (PIL's ``I;16`` and ``I``, uint16 arrays) is scaled by its full range, 65535 to 255;
      Pillow's own conversion would clip at 255. Data that uses less of the range (12-bit scans)
      should be windowed first.
    - Floats (also PIL's ``F``) are in [0, 1]; booleans are black and white.
    - Transparency is laid on black. Palettes, CMYK and the like become RGB.
    - A PIL image that says it was taken with the camera turned (EXIF) is turned upright.

    Args:
        image: A PIL image; an array (H, W) or (H, W, C); or a tensor (H, W) or (C, H, W); with 1
            (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha) channels.

    Returns:
        uint8 (1, H, W) or (3, H, W).

    Raises:
        TypeError: If it is no image.
        ValueError: If its shape, dtype or values are none of these.
    """
    if isinstance(image, Image.Image):
        tensor = _from_pil(image)
    elif isinstance(image, np.ndarray):
        if image.dtype.kind not in "biuf":
            raise ValueError(
                f"image has dtype {image.dtype}, expected uint8, uint16, bool or float"
            )
        native = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("="))
        tensor = torch.from_numpy(native if native.flags.writeable else native.copy())
        tensor = tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor
    elif isinstance(image, Tensor):
        tensor = image.detach()
    else:
        raise TypeError(
            f"{type(image).__name__} is no image; expected a PIL image, a NumPy array or a tensor"
        )
    if tensor.ndim == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim != 3 or not 1 <= tensor.shape[0] <= 4 or tensor.numel() == 0:
        raise ValueError(
            f"image has shape {tuple(getattr(image, 'shape', tensor.shape))}, "
            "expected one image: (H, W) or (H, W, C) as array, (H, W) or (C, H, W) as tensor, with "
            "1 to 4 channels; prepare_batch takes batches"
        )
    return _lay_on_black(_to_8_bit(tensor))


def _from_pil(image: Image.Image) -> Tensor:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise ValueError(
                f"image of mode {image.mode} has values from {values.min()} to {values.max()}, "
                "expected 0 to 65535; window it to that range first"
            )
        return torch.from_numpy(values.astype(np.uint16))
    if image.mode != "F":
        transparent = image.mode.lower() in _WITH_ALPHA or "transparency" in image.info
        gray = image.mode in ("1", "L", "LA", "La")
        image = image.convert(
            ("LA" if transparent else "L") if gray else "RGBA" if transparent else "RGB"
        )
    pixels = torch.from_numpy(np.array(image))
    return pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels


def _to_8_bit(tensor: Tensor) -> Tensor:
    if tensor.dtype == torch.uint8:
        return tensor
    if tensor.dtype == torch.bool:
        return tensor.to(torch.uint8) * 255
    if tensor.dtype == torch.uint16:
        return ((tensor.to(torch.int32) + _FULL_16_BIT // 2) // _FULL_16_BIT).to(torch.uint8)
    if not tensor.is_floating_point():
        raise ValueError(
            f"image has dtype {tensor.dtype}, which does not tell its range; convert it to uint8 "
            "(0 to 255), uint16 (0 to 65535) or float (0 to 1)"
        )
    low, high = float(tensor.min()), float(tensor.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also if either is not a number
        raise ValueError(f"float image has values from {low:g} to {high:g}, expected 0 to 1")
    return (tensor.float() * 255).round().clamp(0, 255).to(torch.uint8)


def _lay_on_black(tensor: Tensor) -> Tensor:
    if tensor.shape[0] % 2:
        return tensor
    colour, alpha = tensor[:-1].int(), tensor[-1:].int()
    return ((colour * alpha + 127) // 255).to(torch.uint8)
