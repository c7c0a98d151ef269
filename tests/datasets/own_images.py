"""Image files for tests of folders, tables and the command line."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

import medzoo


def write_image(path: Path, seed: int, mode: str = "L", size: tuple[int, int] = (10, 12)) -> Path:
    """Write a noise image; other seeds give other images."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def write_folder(root: Path, counts: Mapping[str, int], **options) -> Path:
    """Write so many images into each folder below `root`, all different."""
    seed = 0
    for folder, count in counts.items():
        for number in range(count):
            write_image(root / folder / f"{number:03}.png", seed, **options)
            seed += 1
    return root


def class_counts(data: medzoo.Dataset) -> dict[str, list[int]]:
    """Number of images of each class, by split."""
    count = data.info.num_classes
    return {name: s.labels.bincount(minlength=count).tolist() for name, s in data.splits.items()}
