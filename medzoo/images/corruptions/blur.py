"""Blur: means of shifted images, with the kernels that MedMNIST-C has at 224 pixels.

At other sizes, a kernel covers the same share of the image: its points move closer together (or
apart), and each is divided among the pixels around it. At sizes that divide 224, this equals
enlarging the image to 224 pixels, each pixel to a square, and averaging the squares of the blurred
image.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.images.corruptions.pixels import REFERENCE, Generators, nearest, truncate

Taps = tuple[tuple[int, int, int], ...]
"""Shift down, shift right, and weight, of each of the images that are averaged."""
_WHOLE = 1 << 16
"""Sum of the weights: whole numbers, whose sums of 8-bit pixels are exact in float32, so that they
do not depend on their order, the batch or the device."""


def gaussian_blur(images: Tensor, width: float, rngs: Generators) -> Tensor:
    """Blur with a Gaussian of the standard deviation that torchvision derives from the width.

    Args:
        images: uint8 (N, C, H, W).
        width: Width of the kernel in pixels at 224 pixels, odd.
        rngs: Not used.
    """
    return nearest(_average(images, _gaussian(int(width), _size(images)), "reflect"))


def defocus_blur(images: Tensor, disk: tuple[float, float], rngs: Generators) -> Tensor:
    """Blur with a disk.

    Args:
        images: uint8 (N, C, H, W).
        disk: Its radius, and the standard deviation of a Gaussian that softens its edge, both in
            pixels at 224 pixels.
        rngs: Not used.
    """
    return truncate(_average(images, _disk(*disk, _size(images)), "reflect"))


def motion_blur(images: Tensor, line: tuple[float, float], rngs: Generators) -> Tensor:
    """Blur along a line of random direction, at most 45 degrees from the horizontal.

    The kernel is that of ImageMagick, half a Gaussian.

    Args:
        images: uint8 (N, C, H, W).
        line: Radius of the kernel and its standard deviation, in pixels at 224 pixels.
        rngs: One generator per image.
    """
    radius, spread = line
    steps = np.arange(2 * math.ceil(radius) + 1)
    weights = np.exp(-(steps**2) / (2 * spread**2))
    blurred = []
    for image, rng in zip(images, rngs, strict=True):  # each has its own kernel
        angle = math.radians(rng.uniform(-45, 45))
        direction = np.array([math.sin(angle), math.cos(angle)])
        points = np.ceil(steps[:, None] * direction - 0.5)
        blurred.append(_average(image[None], _taps(points, weights, _size(images)), "replicate"))
    return truncate(torch.cat(blurred))


def zoom_blur(images: Tensor, factors: tuple[float, ...], rngs: Generators) -> Tensor:
    """Average the image and enlargements of it.

    Args:
        images: uint8 (N, C, H, W).
        factors: How much each enlargement is larger, from 1.
        rngs: Not used.
    """
    x = images.double().contiguous()
    height, width = images.shape[-2:]
    total = x.clone()
    for factor in factors:
        rows, columns = (_zoom(size, factor).to(x.device) for size in (height, width))
        wider = x @ columns.T
        total += (wider.transpose(-1, -2) @ rows.T).transpose(-1, -2)
    return truncate(total / (len(factors) + 1) + 1e-6)  # whole numbers stay what they are


def _average(images: Tensor, taps: Taps, border: str) -> Tensor:
    """Return the weighted mean of shifted images, float32, exact but for the last division."""
    height, width = images.shape[-2:]
    reach = max(max(abs(down), abs(right)) for down, right, _ in taps)
    padded = F.pad(images.float(), (reach,) * 4, border)
    total = torch.zeros(images.shape, device=images.device)
    for down, right, weight in taps:
        top, left = reach + down, reach + right
        total.add_(padded[..., top : top + height, left : left + width], alpha=weight)
    return total / _WHOLE


def _taps(points: np.ndarray, weights: np.ndarray, size: int) -> Taps:
    """Bring a kernel, points (T, 2) at 224 pixels with their weights (T,), to a size."""
    scale = size / REFERENCE
    centres, wide = points * scale, max(1.0, scale)
    reach = math.ceil(np.abs(centres).max() + wide)
    places = np.arange(-reach, reach + 1)
    near = np.maximum(0, 1 - np.abs(places[:, None, None] - centres) / wide)
    dense = (near[..., 0] * weights) @ near[..., 1].T
    whole = np.rint(dense / dense.sum() * _WHOLE).astype(int)
    whole.flat[dense.argmax()] += _WHOLE - whole.sum()
    return tuple((int(y) - reach, int(x) - reach, int(whole[y, x])) for y, x in np.argwhere(whole))


@lru_cache(maxsize=64)
def _gaussian(width: int, size: int) -> Taps:
    spread = 0.3 * ((width - 1) * 0.5 - 1) + 0.8
    points = _square(width // 2)
    return _taps(points, np.exp(-(points**2).sum(1) / (2 * spread**2)), size)


@lru_cache(maxsize=64)
def _disk(radius: float, softness: float, size: int) -> Taps:
    points = _square(math.ceil(radius) + 1)
    edge = np.exp(-(_square(1) ** 2).sum(1) / (2 * softness**2))
    shifted = points[:, None] - _square(1)
    weights = ((shifted**2).sum(2) <= radius**2) @ edge
    return _taps(points[weights > 0], weights[weights > 0], size)


@lru_cache(maxsize=64)
def _zoom(size: int, factor: float) -> Tensor:
    """Return the linear interpolation that enlarges one axis, float64 (size, size)."""
    crop = math.ceil(REFERENCE / factor)  # whole pixels, at 224 pixels
    enlarged = round(crop * factor)
    start, trim = (REFERENCE - crop) // 2, (enlarged - REFERENCE) // 2
    here = (torch.arange(size, dtype=torch.float64) + 0.5) * REFERENCE / size - 0.5
    source = start + (here + trim) * (crop - 1) / (enlarged - 1)
    place = ((source + 0.5) * size / REFERENCE - 0.5).clamp(0, size - 1)
    return (1 - (torch.arange(size) - place[:, None]).abs()).clamp(min=0)


def _square(reach: int) -> np.ndarray:
    """Return the points of a square, (points, 2), by rows."""
    axis = np.arange(-reach, reach + 1)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


def _size(images: Tensor) -> int:
    return min(images.shape[-2:])
