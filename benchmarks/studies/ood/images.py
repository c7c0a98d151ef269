"""Images of other kinds than those of a data set: other data sets, and no medical images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import skimage
import torch
from PIL import Image
from torch import Tensor

from benchmarks.reproduction.source import Source
from medzoo.datasets import Split
from medzoo.images.resize import center_crop_resize

DATASETS = (
    "bloodmnist",
    "breastmnist",
    "chestmnist",
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "retinamnist",
)
PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "rocket.jpg",
    "text.png",
)
"""The pictures that scikit-image brings along, without its medical and drawn ones."""
_SIZE = 64  # of photographs; models take them in their own


def sample(split: Split, most: int) -> Tensor:
    """Return images of a split, evenly spaced.

    Args:
        split: The split.
        most: How many at most.

    Returns:
        uint8 (N, C, H, W).
    """
    rows = torch.linspace(0, len(split) - 1, min(len(split), most)).long()
    return split.images[rows]


def other_datasets(source: Source, own: str, split: str, most: int) -> dict[str, Tensor]:
    """Return images of every data set but one, at 28 px.

    Args:
        source: The data sets.
        own: The one that is left out.
        split: Of which split.
        most: How many of each at most.
    """
    return {name: _images(source, name, split, most) for name in DATASETS if name != own}


@cache
def _images(source: Source, name: str, split: str, most: int) -> Tensor:
    return sample(getattr(source.load(name), split), most)


def artificial(seed: int) -> dict[str, Tensor]:
    """Return blank images and noise.

    Args:
        seed: Decides the noise.
    """
    rng = np.random.default_rng(seed)
    shape = (100, 3, 28, 28)
    noise = [rng.integers(0, 256, shape), rng.normal(128, 40, shape).clip(0, 255)]
    grays = torch.arange(0, 256, 5, dtype=torch.uint8)
    return {
        "blank": grays[:, None, None, None].repeat(1, 3, 28, 28),
        "noise": torch.from_numpy(np.concatenate(noise).astype(np.uint8)),
    }


def photographs() -> Mapping[str, Tensor]:
    """Return scikit-image's photographs, each whole and in four quarters."""
    images = []
    for name in PHOTOGRAPHS:
        with Image.open(Path(skimage.__file__).parent / "data" / name) as file:
            whole = file.convert("RGB")
        w, h = whole.width // 2, whole.height // 2
        corners = [(x, y, x + w, y + h) for x in (0, w) for y in (0, h)]
        images += [whole, *map(whole.crop, corners)]
    return {"photographs": torch.stack([_square(image) for image in images])}


def _square(image: Image.Image) -> Tensor:
    return center_crop_resize(torch.from_numpy(np.array(image)).permute(2, 0, 1), _SIZE)
