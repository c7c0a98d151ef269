"""One picture that shows a few images of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from medzoo.escape import for_display

if TYPE_CHECKING:
    from medzoo.datasets.split import Split

_SMALLEST = 64  # pixels; smaller images are enlarged to at least this
_GAP, _HEAD = 4, 16


def contact_sheet(split: Split, per_class: int = 10) -> Image.Image:
    """Draw a few images of each class, one row per class; see `Split.plot`.

    Args:
        split: The images.
        per_class: Number of images per class, evenly spaced over the split. Fewer are shown of
            a class with fewer.

    Returns:
        An RGB image.

    Raises:
        ValueError: If `per_class` is below 1.
    """
    if per_class < 1:
        raise ValueError(f"per_class={per_class!r} must be at least 1")
    size = split.images.shape[-1]
    side = size * -(-_SMALLEST // size)
    step, row = side + _GAP, side + _HEAD + _GAP
    classes = split.info.classes
    sheet = Image.new("RGB", (per_class * step + _GAP, len(classes) * row + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for number, name in enumerate(classes):
        rows = rows_of(split, number)
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
