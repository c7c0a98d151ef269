"""Decide what the three axes of an array stand for, or refuse to if there are two answers."""

from __future__ import annotations

import numpy as np
from torch import Tensor

_MAX_CHANNELS = 4
_IMAGE_CHANNELS = (1, 3)


def is_gray_stack(images: object, channels: int) -> bool:
    """Return whether something is several square gray images (N, H, W), as MedMNIST stores them.

    Otherwise it is one image: an array (H, W) or (H, W, C), a tensor (H, W) or (C, H, W) with up
    to 4 channels, or no array at all.

    Args:
        images: What was given as an image or as several.
        channels: Channels that the model expects: for a model of RGB images, a tensor (3, H, W) is
            one of them.

    Raises:
        ValueError: If it may be one image (C, H, W) or several gray images.

    Example:
        >>> is_gray_stack(np.zeros((9, 28, 28)), channels=1)
        True
        >>> is_gray_stack(np.zeros((28, 28, 3)), channels=1)
        False
    """
    if not isinstance(images, np.ndarray | Tensor) or images.ndim != 3:
        return False
    count, height, width = images.shape
    if height != width or not images.shape[0]:
        return False
    if isinstance(images, Tensor):
        if count in (1, channels):
            return False
        is_unclear = count <= _MAX_CHANNELS
        as_stack, as_image = "images[:, None]", "image.permute(1, 2, 0).numpy()"
    else:
        if width <= _MAX_CHANNELS:
            return False
        is_unclear = count in _IMAGE_CHANNELS
        as_stack, as_image = "images[..., None]", "image.transpose(1, 2, 0)"
    if is_unclear:
        raise ValueError(
            f"shape {tuple(images.shape)} may be {count} gray images (N, H, W) or one image "
            f"(C, H, W); for gray images, give predict {as_stack}, or give one at a time; for one "
            f"image, give {as_image}"
        )
    return True
