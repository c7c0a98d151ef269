"""Bringing images to a square of the size wanted, the same way for training and for prediction."""

from __future__ import annotations

from torch import Tensor


def center_crop_resize(images: Tensor, size: int) -> Tensor:
    """Crop the centre to the shorter side and resize it, as MedMNIST was made.

    By bicubic interpolation with antialiasing; images of the right size pass unchanged.

    Args:
        images: uint8 (..., C, H, W).
        size: Height (= width) wanted, in pixels.

    Returns:
        uint8 (..., C, size, size).
    """
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    images = images[..., top : top + side, left : left + side]
    if side != size:
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2.functional import resize

        images = resize(images, [size, size], InterpolationMode.BICUBIC, antialias=True)
    return images
