"""Gray into RGB and back."""

from __future__ import annotations

from torch import Tensor

_LUMINANCE = (19595, 38470, 7471)  # ITU-R 601-2 in 65536ths, as Pillow's mode "L"


def adapt_channels(images: Tensor, channels: int) -> Tensor:
    """Turn gray into RGB by repetition, or RGB into gray by its luminance.

    Luminance is ITU-R 601-2's, to the bit what Pillow's ``convert("L")`` gives for 8-bit images.

    Args:
        images: (..., C, H, W), of any dtype.
        channels: The number of channels wanted.

    Returns:
        (..., channels, H, W) of the same dtype. Repeated channels share memory (a view).

    Raises:
        ValueError: If there is no way from C to `channels`.
    """
    present = images.shape[-3]
    if present == channels:
        return images
    if present == 1:
        return images.expand(*images.shape[:-3], channels, *images.shape[-2:])
    if (present, channels) != (3, 1):
        raise ValueError(f"images have {present} channels; there is no way to {channels}")
    red, green, blue = images.unbind(-3)
    r, g, b = _LUMINANCE
    if images.dtype.is_floating_point:
        gray = (r * red + g * green + b * blue) / 65536
    else:
        gray = (r * red.int() + g * green.int() + b * blue.int() + 32768) >> 16
    return gray.to(images.dtype).unsqueeze(-3)
