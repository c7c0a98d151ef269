"""One picture that shows a few images of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from medzoo.errors import as_whole
from medzoo.escape import for_display
from medzoo.images.decoding.limits import MAX_PIXELS

if TYPE_CHECKING:
    from medzoo.datasets.split import Split

_SMALLEST = 64  # pixels; smaller images are enlarged to at least this
_GAP, _HEAD = 4, 16
_MAX_SIDE = 65_500  # pixels; JPEG files have no more


def contact_sheet(split: Split, per_class: int = 10) -> Image.Image:
    """Draw a few images of each class, one row per class; see `Split.plot`.

    Args:
        split: The images.
        per_class: Number of images per class, evenly spaced over the split. Fewer are shown of
            a class with fewer.

    Returns:
        An RGB image.

    Raises:
        TypeError: If `per_class` is not a whole number.
        ValueError: If `per_class` is below 1, or so large that no picture has room for it.
    """
    per_class = as_whole("per_class", per_class, 1)
    size = split.images.shape[-1]
    side = size * -(-_SMALLEST // size)
    step, row = side + _GAP, side + _HEAD + _GAP
    classes = split.info.classes
    members = [rows_of(split, number) for number in range(len(classes))]
    columns = max(1, min(per_class, max(map(len, members))))
    width, height = columns * step + _GAP, len(classes) * row + _GAP
    most = max(1, (min(_MAX_SIDE, MAX_PIXELS // height) - _GAP) // step)
    if columns > most:
        raise ValueError(
            f"per_class={per_class!r} makes a picture of {width:,} x {height:,} pixels, which is "
            f"too large; give at most {most:,}"
        )
    sheet = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for number, (name, rows) in enumerate(zip(classes, members, strict=True)):
        top = number * row + _GAP
        draw.text((_GAP, top), f"{for_display(name)} ({len(rows):,})", fill="black", font=font)
        chosen = rows[torch.linspace(0, len(rows) - 1, min(len(rows), per_class)).long()]
        for place, image in enumerate(split.take(chosen) if len(chosen) else ()):
            pixels = image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
            tile = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(tile, (_GAP + place * step, top + _HEAD))
    return sheet


def rows_of(split: Split, number: int) -> Tensor:
    """Return the positions of the images with a label, (M,).

    Args:
        split: The images.
        number: Number of the class.
    """
    labels = split.labels
    has_label = labels[:, number] > 0 if split.info.multi_label else labels == number
    return has_label.nonzero().flatten()
