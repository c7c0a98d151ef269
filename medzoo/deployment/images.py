"""Images with which a model is traced, calibrated and checked."""

from __future__ import annotations

import torch
from torch import Tensor

from medzoo.datasets import Split
from medzoo.datasets.storage import take_rows
from medzoo.deployment.description import Description
from medzoo.images.channels import adapt_channels

CALIBRATION_IMAGES = 512
"""Maximum number of calibration images; more would hardly change the ranges."""


def raw_images(given: Split | Tensor, argument: str, description: Description) -> Tensor:
    """Return the images that a caller gave, after checking them.

    Args:
        given: A split, or uint8 (N, C, H, W).
        argument: The argument's name, for errors.
        description: The model's description.

    Returns:
        uint8 (N, C, H, W) as they were given, on any device.

    Raises:
        TypeError: If they are neither a split nor a tensor.
        ValueError: If they are not a uint8 batch, empty, or have channels that the model cannot
            take.
    """
    images = given.images if isinstance(given, Split) else given
    expected = "expected a split, e.g. data.train, or a uint8 tensor (N, C, H, W)"
    if not isinstance(images, Tensor):
        raise TypeError(f"{argument} is {type(images).__name__}, {expected}")
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(f"{argument} is {images.dtype} {tuple(images.shape)}, {expected}")
    if not len(images):
        raise ValueError(f"{argument} has no images; give a few hundred")
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
    return take_rows(images, chosen.long().to(images.device)).cpu()
