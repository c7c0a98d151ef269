"""What the corruptions share: the size they were made for, and ways back to 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from medzoo.images.channels import adapt_channels

REFERENCE = 224
"""Height and width in pixels of the images that MedMNIST-C was made of."""

Generators = Sequence[np.random.Generator]
"""One source of random numbers per image."""


def truncate(values: Tensor) -> Tensor:
    """Return values as uint8, without their fractions, as MedMNIST-C does.

    Args:
        values: Pixels around [0, 255], of any shape.
    """
    return values.clamp(0, 255).to(torch.uint8)


def nearest(values: Tensor) -> Tensor:
    """Return values as the nearest uint8.

    Args:
        values: Pixels around [0, 255], of any shape.
    """
    return truncate(values + 0.5)


def in_rgb(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change the colours of images; gray ones as MedMNIST-C, which makes them RGB and gray again.

    The noise of three channels is thus averaged in gray images.

    Args:
        images: uint8 (N, 1 or 3, H, W).
        change: A function of float32 (N, 3, H, W) in [0, 255].

    Returns:
        uint8, of the shape of `images`.
    """
    changed = truncate(change(adapt_channels(images, 3).float()))
    return adapt_channels(changed, images.shape[1])
