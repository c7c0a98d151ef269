"""Crop and resize images to a square, in the same way for training and prediction."""

from __future__ import annotations

from torch import Tensor


def center_crop_resize(images: Tensor, size: int) -> Tensor:
    """Crop the central square and resize it, as MedMNIST was created.

    Images are resized by bicubic interpolation with antialiasing, and returned unchanged if they
    already have the requested size.

    Args:
        images: uint8 (..., C, H, W).
        size: Height (= width) of the result in pixels.

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
