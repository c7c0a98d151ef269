"""What gets onto a slide or a photograph: stains, bubbles, dark corners, writing.

Each is drawn at 224 pixels, where MedMNIST-C draws it, and reduced to the size of the image. So it
covers the same share of an image of any size; small writing in small images is a smear.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from medzoo.images.channels import adapt_channels
from medzoo.images.corruptions.pixels import REFERENCE, Generators, nearest

_MARGIN = 10
_FONT_SIZE = 64
_FONT_STROKE = 5


def stain_deposit(images: Tensor, stains: tuple[int, int], rngs: Generators) -> Tensor:
    """Put black stains of irregular shape on images.

    Args:
        images: uint8 (N, C, H, W).
        stains: The largest number of stains, and their width in pixels at 224 pixels.
        rngs: One generator per image.
    """
    most, width = stains

    def draw(rng: np.random.Generator) -> np.ndarray:
        canvas = Image.new("L", (REFERENCE, REFERENCE))
        for _ in range(_whole(rng, 1, most)):
            centre = rng.integers(_MARGIN, REFERENCE - width - _MARGIN, 2, endpoint=True)
            outline = _blob(rng, width) + centre + width / 2
            ImageDraw.Draw(canvas).polygon([(x, y) for x, y in outline.tolist()], fill=255)
        return _layer(canvas, (0, 0, 0))

    return _compose(images, [draw(rng) for rng in rngs])


def bubble(images: Tensor, bubbles: tuple[int, int], rngs: Generators) -> Tensor:
    """Put translucent white bubbles on images.

    Args:
        images: uint8 (N, C, H, W).
        bubbles: Their largest radius in pixels at 224 pixels, and their largest number.
        rngs: One generator per image.
    """
    largest, most = bubbles

    def draw(rng: np.random.Generator) -> np.ndarray:
        canvas = Image.new("L", (REFERENCE, REFERENCE))
        for _ in range(_whole(rng, 7, most)):
            radius = _whole(rng, 3, largest)
            x, y = rng.integers(radius, REFERENCE - radius, 2, endpoint=True).tolist()
            for reach, opacity in ((radius + 2, 130), (radius, 100)):
                box = (x - reach, y - reach, x + reach, y + reach)
                ImageDraw.Draw(canvas).ellipse(box, fill=opacity)
        return _layer(canvas, (255, 255, 255))

    return _compose(images, [draw(rng) for rng in rngs])


def black_corner(images: Tensor, share: float, rngs: Generators) -> Tensor:
    """Make everything outside a circle black, as a dermatoscope does.

    Args:
        images: uint8 (N, C, H, W).
        share: Its radius, as a share of half the side.
        rngs: Not used.
    """
    radius = int(REFERENCE // 2 * share)
    axis = np.arange(REFERENCE) - REFERENCE // 2
    outside = axis[:, None] ** 2 + axis**2 > radius**2
    layer = _layer(Image.fromarray((255 * outside).astype(np.uint8)), (0, 0, 0))
    return _compose(images, [layer] * len(images))


def characters(images: Tensor, words: tuple[int, int, float], rngs: Generators) -> Tensor:
    """Write small words of random letters, each in a random colour, on images.

    MedMNIST-C draws a font of OpenCV, this is Pillow's, at the same size and strength.

    Args:
        images: uint8 (N, C, H, W).
        words: Their largest number, the largest number of letters, and the largest scale of
            OpenCV's font.
        rngs: One generator per image.
    """
    most, longest, largest = words

    def draw(rng: np.random.Generator) -> np.ndarray:
        drawn = np.zeros((4, REFERENCE, REFERENCE), np.float32)
        for _ in range(_whole(rng, 1, most)):
            count, scale = _whole(rng, 3, longest), _whole(rng, 14, round(100 * largest)) / 100
            letters = "".join(rng.choice(list(string.ascii_lowercase), count))
            left = _whole(rng, _MARGIN, REFERENCE - 8 * count)
            base = _whole(rng, _MARGIN, REFERENCE - _MARGIN)
            red, green, blue = rng.integers(0, 256, 3).tolist()
            canvas = Image.new("L", (REFERENCE, REFERENCE))
            word = _word(letters, scale)
            canvas.paste(word, (left, base - round(22 * scale)))
            layer = _layer(canvas, (red, green, blue))
            drawn = drawn * (1 - layer[3]) + layer
        return drawn

    return _compose(images, [draw(rng) for rng in rngs])


def _compose(images: Tensor, layers: Sequence[np.ndarray]) -> Tensor:
    """Lay a layer over each image; see `_layer`."""
    size = images.shape[-2:]
    # One by one, so that nothing depends on the batch.
    reduced = [F.interpolate(torch.from_numpy(one)[None], size, mode="area") for one in layers]
    colour, opacity = torch.cat(reduced).to(images.device).split([3, 1], dim=1)
    colour = adapt_channels(colour, images.shape[1])
    return nearest(images * (1 - opacity) + colour)


def _layer(canvas: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Return a colour, of the opacity of a canvas: colour times opacity, then opacity in [0, 1]."""
    opacity = np.asarray(canvas, np.float32) / 255
    return np.stack([*(np.float32(value) * opacity for value in colour), opacity])


def _blob(rng: np.random.Generator, width: int) -> np.ndarray:
    """Return the outline of a stain around (0, 0), float (points, 2)."""
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    waves = np.arange(2, 6)[:, None]
    strength, phase = rng.normal(0, 0.12, (4, 1)), rng.uniform(0, 2 * math.pi, (4, 1))
    radius = 0.42 * width * (1 + (strength * np.cos(waves * angle + phase)).sum(axis=0))
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _word(letters: str, scale: float) -> Image.Image:
    """Return a word as a mask, in the size of OpenCV's font and its lines, one pixel wide."""
    font = _font()
    box = font.getbbox(letters, stroke_width=_FONT_STROKE)
    large = Image.new("L", (math.ceil(box[2]), math.ceil(1.3 * _FONT_SIZE)))
    ImageDraw.Draw(large).text((0, 0), letters, 255, font, stroke_width=_FONT_STROKE)
    size = (round(20 * scale * len(letters)) + 1, round(29 * scale) + 1)
    return large.resize(size, Image.Resampling.BOX)


@cache
def _font() -> Any:
    return ImageFont.load_default(_FONT_SIZE)


def _whole(rng: np.random.Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high, endpoint=True))
