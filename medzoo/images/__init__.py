"""Image files and arrays as 8-bit pixels: formats, channels, crop and resize."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medzoo.lazy import export_lazily

if TYPE_CHECKING:
    from medzoo.images.batch import read_images
    from medzoo.images.channels import adapt_channels
    from medzoo.images.convert import ImageLike, to_uint8
    from medzoo.images.corruptions import Corruption, corruptions_for
    from medzoo.images.discover import find_images
    from medzoo.images.file import is_image, read_image
    from medzoo.images.resize import center_crop_resize

__all__ = [
    "Corruption",
    "ImageLike",
    "adapt_channels",
    "center_crop_resize",
    "corruptions_for",
    "find_images",
    "is_image",
    "read_image",
    "read_images",
    "to_uint8",
]

export_lazily(
    __name__,
    {
        "batch": ("read_images",),
        "channels": ("adapt_channels",),
        "convert": ("ImageLike", "to_uint8"),
        "corruptions": ("Corruption", "corruptions_for"),
        "discover": ("find_images",),
        "file": ("is_image", "read_image"),
        "resize": ("center_crop_resize",),
    },
)
