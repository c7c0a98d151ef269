"""The images that a model is traced with, calibrated with and checked with."""

from __future__ import annotations

import torch
from torch import Tensor

from medzoo.datasets import Split
from medzoo.deployment.description import Description
from medzoo.images.channels import adapt_channels

CALIBRATION_IMAGES = 512
"""Of more images, this many are used, evenly spaced; further ones hardly move the ranges."""


def example_images(description: Description) -> Tensor:
    """Return two images of noise as the model expects them, always the same.

    Args:
        description: What the model expects.
    """
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, *description.spec.input.shape, generator=generator)


def raw_images(given: Split | Tensor, argument: str, description: Description) -> Tensor:
    """Return the images that a caller gave, or say what is wrong with them.

    Args:
        given: A split, or uint8 (N, C, H, W).
        argument: Its name, for errors.
        description: What the model expects.

    Returns:
        uint8 (N, C, H, W) as they were given, on any device.

    Raises:
        ValueError: If they are none, or the model cannot see them.
    """
    images = given.images if isinstance(given, Split) else given
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4:
        found = (
            f"{images.dtype} {tuple(images.shape)}"
            if isinstance(images, Tensor)
            else type(images).__name__
        )
        raise ValueError(
            f"{argument} is {found}, expected a split, e.g. data.train, or a uint8 tensor "
            "(N, C, H, W)"
        )
    if not len(images):
        raise ValueError(f"{argument} has no images; give some hundreds")
    adapt_channels(images[:1], description.spec.input.channels)  # refuses what does not fit
    return images


def evenly_spaced(images: Tensor, count: int) -> Tensor:
    """Choose images, evenly spaced from the first to the last.

    Args:
        images: (N, C, H, W), on any device.
        count: How many at most.

    Returns:
        (min(N, count), C, H, W) on the CPU.
    """
    chosen = torch.linspace(0, len(images) - 1, min(len(images), count), dtype=torch.float64)
    return images[chosen.long().to(images.device)].cpu()
