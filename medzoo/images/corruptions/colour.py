"""Brightness, contrast, saturation and gamma, as Pillow, scikit-image and torchvision define them.

None of them depends on the size of the images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medzoo.images.channels import adapt_channels
from medzoo.images.corruptions.pixels import Generators, truncate


def brightness(images: Tensor, factor: float, rngs: Generators) -> Tensor:
    """Multiply all pixels.

    Args:
        images: uint8 (N, C, H, W).
        factor: What to multiply them by.
        rngs: Not used.
    """
    return truncate(images * factor)


def contrast(images: Tensor, factor: float, rngs: Generators) -> Tensor:
    """Multiply the distance of all pixels from the image's mean luminance.

    Args:
        images: uint8 (N, C, H, W).
        factor: What to multiply it by.
        rngs: Not used.
    """
    luminance = adapt_channels(images, 1).flatten(1)
    # Sums of whole numbers are exact in any order, so that batches cannot change them.
    mean = luminance.sum(1, dtype=torch.int64).double() / luminance.shape[1]
    middle = (mean + 0.5).floor().float().view(-1, 1, 1, 1)
    return truncate(middle + (images - middle) * factor)


def saturate(images: Tensor, increase: float, rngs: Generators) -> Tensor:
    """Add to the saturation in HSV, in which black, gray and white count as red.

    Args:
        images: uint8 (N, 3, H, W).
        increase: What to add, in [0, 1].
        rngs: Not used.
    """
    x = images.double()
    value, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    saturation = torch.where(value > 0, (value - low) / value, 0.0)
    more = (saturation + increase).clamp(max=1.0)
    # At the same hue and value, the distance of each channel from the value is proportional to
    # the saturation.
    red = torch.tensor([0.0, 1.0, 1.0], dtype=x.dtype, device=x.device).view(1, 3, 1, 1)
    distance = torch.where(saturation > 0, (value - x) * more / saturation, value * more * red)
    return truncate(value - distance + 1e-9)  # whole numbers stay what they are


def gamma_correction(images: Tensor, gamma: float, rngs: Generators) -> Tensor:
    """Raise all pixels, scaled to [0, 1], to a power.

    Args:
        images: uint8 (N, C, H, W).
        gamma: The power.
        rngs: Not used.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    table = truncate(255.999 * levels**gamma).to(images.device)
    return table[images.long()]
