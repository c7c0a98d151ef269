"""One image file or array into pixels: formats, channels, crop and resize."""

from medzoo.images.batch import read_images
from medzoo.images.channels import adapt_channels
from medzoo.images.convert import to_uint8
from medzoo.images.file import is_image, read_image
from medzoo.images.resize import to_square

__all__ = ["adapt_channels", "is_image", "read_image", "read_images", "to_square", "to_uint8"]
