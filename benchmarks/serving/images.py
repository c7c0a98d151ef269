"""Files like those that people send: photographs with noise, as JPEG and PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

_SIDES = (112, 150, 180, 224)


def write_images(folder: Path, count: int) -> list[Path]:
    """Write colour images of 112 to 224 pixels, three JPEG files for every PNG.

    MedMNIST's own images have up to 224 pixels.

    Args:
        folder: Where they are written.
        count: How many.
    """
    random = np.random.default_rng(0)
    paths = []
    for index in range(count):
        width, height = (int(side) for side in random.choice(_SIDES, 2))
        coarse = random.integers(70, 220, (6, 6, 3), dtype=np.uint8)  # a few large blobs
        blobs = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        noisy = np.asarray(blobs) + random.normal(0, 4, (height, width, 3))
        image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        path = folder / f"{index:03}.{'png' if index % 4 == 0 else 'jpg'}"
        image.save(path, quality=90)
        paths.append(path)
    return paths
