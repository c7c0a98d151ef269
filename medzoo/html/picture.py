"""Images of a data set as small pictures of a page."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from medzoo.html.document import Picture

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

_LARGEST = 256  # pixels of a side; more would make pages of megabytes


def picture_of(image: Tensor | Image, alt: str, largest: int = _LARGEST) -> Picture:
    """Return an image as a picture of a page.

    Args:
        image: uint8 (C, H, W) with 1 or 3 channels, or a PIL image.
        alt: What it shows.
        largest: Pixels of a side to which a larger image is reduced.
    """
    from PIL import Image

    if not isinstance(image, Image.Image):
        pixels = image.cpu().permute(1, 2, 0).contiguous().numpy()
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if max(image.size) > largest:
        image = image.copy()
        image.thumbnail((largest, largest))
    buffer = BytesIO()
    image.save(buffer, "png", optimize=True)
    return Picture(buffer.getvalue(), alt)
