"""Fewer pixels, and JPEG's artefacts.

Both belong to the pixels of the image that is given: pixelation leaves a share of its pixels, and
the blocks of JPEG are 8 of its pixels wide. In smaller images, they cover more of what is shown.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from medzoo.images.corruptions.pixels import Generators


def pixelate(images: Tensor, share: float, rngs: Generators) -> Tensor:
    """Reduce images to a share of their height and width, and enlarge them again.

    The filter is Pillow's ``BOX``.

    Args:
        images: uint8 (N, C, H, W).
        share: The share, in (0, 1].
        rngs: Not used.
    """
    height, width = images.shape[-2:]
    rows, columns = max(1, int(height * share)), max(1, int(width * share))
    x = images.double()
    for old, new in ((width, columns), (height, rows), (columns, width), (rows, height)):
        x = _resize_rows(x, old, new).transpose(-1, -2)
    return x.to(torch.uint8)


def jpeg_compression(images: Tensor, quality: float, rngs: Generators) -> Tensor:
    """Compress images as JPEG and decode them, one by one with Pillow.

    Args:
        images: uint8 (N, C, H, W).
        quality: Pillow's quality, from 1 to 95.
        rngs: Not used.
    """
    decoded = []
    for image in images.permute(0, 2, 3, 1).cpu().numpy():
        buffer = io.BytesIO()
        Image.fromarray(image.squeeze()).save(buffer, "JPEG", quality=int(quality))
        decoded.append(np.asarray(Image.open(buffer)).reshape(image.shape))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).to(images.device)


def _resize_rows(x: Tensor, old: int, new: int) -> Tensor:
    """Resize the last axis of whole numbers to whole numbers, halves rounded up as by Pillow."""
    windows = _windows(old, new).to(x.device)
    return (x @ windows.T / windows.sum(1) + 0.5).floor()


@lru_cache(maxsize=64)
def _windows(old: int, new: int) -> Tensor:
    """Return which pixels each new pixel is the mean of, as 0 and 1, float64 (new, old)."""
    scale = old / new
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * scale
    distance = torch.arange(old, dtype=torch.float64) + 0.5 - centres[:, None]
    half = max(scale, 1.0) / 2
    return ((distance > -half) & (distance <= half)).double()
