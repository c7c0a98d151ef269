"""Decide what the three axes of an array stand for, or refuse to if there are two answers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_MAX_CHANNELS = 4
_IMAGE_CHANNELS = (1, 3)


def check_dense(images: object, name: str = "image") -> None:
    """Check that a tensor, if it is one, holds one plain number per pixel and channel.

    Args:
        images: What was given as an image or as several.
        name: What it is called in the error.

    Raises:
        ValueError: If it is sparse, quantised, nested, or on the device ``"meta"``.
    """
    if not isinstance(images, Tensor):
        return
    if images.is_nested or images.is_quantized or images.is_meta:
        kind = "nested" if images.is_nested else "quantised" if images.is_quantized else "meta"
    elif images.layout is torch.strided:
        return
    else:
        kind = str(images.layout).removeprefix("torch.")
    raise ValueError(f"{name} is a {kind} tensor, expected a dense one; convert it first")


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


def check_one_image(image: object, channels: int) -> None:
    """Check that something is not several gray images.

    Args:
        image: What was given as one image.
        channels: Channels that the model expects; see `is_gray_stack`.

    Raises:
        ValueError: If it is, or may be, several gray images.
    """
    if is_gray_stack(image, channels):
        shape = tuple(image.shape)  # type: ignore[attr-defined]
        raise ValueError(
            f"image has shape {shape}, which is {shape[0]} gray images, expected one image; give "
            "several to medzoo.predict"
        )


def channels_where_expected(images: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """Move the channels of several images to where images of their type have them.

    Args:
        images: An array or tensor (N, H, W, C) or (N, C, H, W), with up to 4 channels.

    Returns:
        A view: an array (N, H, W, C) or a tensor (N, C, H, W). It is unchanged if neither axis has
        a length of up to 4.

    Raises:
        ValueError: If both axes may be the channels.
    """
    _, first, _, last = images.shape
    if first in _IMAGE_CHANNELS and last in _IMAGE_CHANNELS:
        raise ValueError(
            f"shape {tuple(images.shape)} may be (N, C, H, W) or (N, H, W, C); give a list of "
            "images, each an array (H, W, C) or a tensor (C, H, W)"
        )
    is_first = first <= _MAX_CHANNELS
    if isinstance(images, Tensor):
        return images if is_first or last > _MAX_CHANNELS else images.permute(0, 3, 1, 2)
    return images.transpose(0, 2, 3, 1) if is_first and last > _MAX_CHANNELS else images
