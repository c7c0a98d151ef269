"""What the values of an image that Pillow opened stand for, where Pillow itself does not say so."""

from __future__ import annotations

from PIL import Image

MAX_12_BIT, MAX_16_BIT = 4095, 65535
"""White in 12 and in 16 bits."""

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # numbers of TIFF tags
_RANGE_OF = {(12,): MAX_12_BIT, (16,): MAX_16_BIT}  # by the bits of a sample of a TIFF file
_AT_MOST_16_BIT = ("PNG", "PPM")


def integer_range(image: Image.Image) -> int | None:
    """Return the value of white; None for 32 bits, whose range is not known.

    Pillow scales neither 12 nor 16 bits, and also opens some 16-bit files in mode ``I``.

    Args:
        image: An image of mode ``I`` or ``I;16``.
    """
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    if bits in _RANGE_OF:
        return _RANGE_OF[bits]
    return MAX_16_BIT if image.mode != "I" or image.format in _AT_MOST_16_BIT else None


def is_white_zero(image: Image.Image) -> bool:
    """Return whether large values are dark, which Pillow respects for up to 8 bits only.

    Args:
        image: An image of mode ``I``, ``I;16`` or ``F``.
    """
    return bool(getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0)


def has_16_bit_colours(image: Image.Image) -> bool:
    """Return whether Pillow is about to reduce 16-bit colours to the upper 8 bits.

    Args:
        image: An image whose pixels were not loaded yet; it is not known of others.
    """
    tiles = getattr(image, "tile", None)
    raw_mode = tiles[0][3] if image.format == "PNG" and tiles else ""
    return str(raw_mode).endswith(";16B") and not image.mode.startswith("I")
