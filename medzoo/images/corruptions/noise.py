"""Noise of every pixel, drawn on the CPU: one generator per image, so that batches do not matter.

Its strength is that of each pixel, whatever the size of the image. Reduced to a smaller size, an
image with noise would have less of it; a small image that is given noise does not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from medzoo.images.corruptions.pixels import Generators, in_rgb


def gaussian_noise(images: Tensor, spread: float, rngs: Generators) -> Tensor:
    """Add normal noise.

    Args:
        images: uint8 (N, C, H, W).
        spread: Its standard deviation, of pixels in [0, 1].
        rngs: One generator per image.
    """
    noise = 255 * spread * _normal(images, rngs)
    return in_rgb(images, lambda x: x + noise)


def speckle_noise(images: Tensor, spread: float, rngs: Generators) -> Tensor:
    """Multiply each pixel by 1 plus normal noise.

    Args:
        images: uint8 (N, C, H, W).
        spread: Standard deviation of the noise.
        rngs: One generator per image.
    """
    factors = 1 + spread * _normal(images, rngs)
    return in_rgb(images, lambda x: x * factors)


def impulse_noise(images: Tensor, share: float, rngs: Generators) -> Tensor:
    """Replace some values by 0 or 255 (salt and pepper).

    Args:
        images: uint8 (N, C, H, W).
        share: Share of the values that are replaced, in [0, 1].
        rngs: One generator per image.
    """
    shape = (3, *images.shape[-2:])
    drawn = _stack([rng.random(shape, np.float32) for rng in rngs], images)

    def change(x: Tensor) -> Tensor:
        return x.masked_fill(drawn < share, 255).masked_fill(drawn < share / 2, 0)

    return in_rgb(images, change)


def shot_noise(images: Tensor, photons: float, rngs: Generators) -> Tensor:
    """Count photons: replace pixels by Poisson numbers.

    Args:
        images: uint8 (N, C, H, W).
        photons: How many photons a white pixel has on average.
        rngs: One generator per image.
    """

    def change(x: Tensor) -> Tensor:
        expected = x.cpu().double().numpy() * (photons / 255)
        counts = [rng.poisson(one) for rng, one in zip(rngs, expected, strict=True)]
        return 255 * _stack(counts, images) / photons

    return in_rgb(images, change)


def _normal(images: Tensor, rngs: Generators) -> Tensor:
    shape = (3, *images.shape[-2:])
    return _stack([rng.standard_normal(shape, np.float32) for rng in rngs], images)


def _stack(arrays: list[np.ndarray], images: Tensor) -> Tensor:
    return torch.from_numpy(np.stack(arrays)).to(images.device)
