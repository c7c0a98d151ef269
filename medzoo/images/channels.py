"""Convert gray images to RGB and back."""

from __future__ import annotations

from torch import Tensor

_LUMINANCE = (19595, 38470, 7471)  # ITU-R 601-2 in 65536ths, as Pillow's mode "L"


def adapt_channels(images: Tensor, channels: int) -> Tensor:
    """Convert gray to RGB by repeating the channel, or RGB to gray by its luminance.

    The luminance is that of ITU-R 601-2, bit-identical to ``convert("L")`` of Pillow for 8-bit
    images.

    Args:
        images: (..., C, H, W), of any dtype.
        channels: Number of channels of the result.

    Returns:
        (..., channels, H, W) of the same dtype. Repeated channels share memory (a view).

    Raises:
        ValueError: If C channels cannot be converted to `channels`.
    """
    present = images.shape[-3]
    if present == channels:
        return images
    if present == 1:
        return images.expand(*images.shape[:-3], channels, *images.shape[-2:])
    if (present, channels) != (3, 1):
        raise ValueError(
            f"cannot convert {present}-channel images to {channels} channels; "
            "expected 1 (gray) or 3 (RGB)"
        )
    red, green, blue = images.unbind(-3)
    r, g, b = _LUMINANCE
    if images.dtype.is_floating_point:
        gray = (r * red + g * green + b * blue) / 65536
    else:
        gray = (r * red.int() + g * green.int() + b * blue.int() + 32768) >> 16
    return gray.to(images.dtype).unsqueeze(-3)
