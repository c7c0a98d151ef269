"""Growth: epoch time against the number of images, and against their number of pixels."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

import medzoo
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.contest import quiet

IMAGES = (1_000, 3_000, 10_000, 30_000, 100_000)
SIZES = (28, 64, 128, 224)
IMAGES_OF_EACH_SIZE = 1_000


def growth(setting: Setting) -> list[Measurement]:
    """Train epochs of a small network on synthetic data, and fit power laws to their times."""
    counts = IMAGES[:3] if setting.quick else IMAGES
    clock = setting.clock
    by_count = {count: quiet(partial(_epoch, count, 28), clock) for count in counts}
    sizes = SIZES[:3] if setting.quick else SIZES
    by_pixels = {
        size**2: quiet(partial(_epoch, IMAGES_OF_EACH_SIZE, size), clock) for size in sizes
    }
    return [
        _row("epoch time against the number of images", by_count, "28 x 28 pixels"),
        _row("epoch time against pixels", by_pixels, f"{IMAGES_OF_EACH_SIZE:,} images"),
    ]


def _row(work: str, epochs: dict[int, tuple[float, bool]], of: str) -> Measurement:
    seconds = {key: value for key, (value, _) in epochs.items()}
    x, y = np.log(list(seconds)), np.log(list(seconds.values()))
    exponent = float(np.polyfit(x, y, 1)[0])
    return Measurement(
        work,
        "s",
        {OURS: seconds[max(seconds)]},
        exponent,
        "",
        target=1.1,
        direction="most",
        note=f"exponent of the fitted power, 1 is linear; {of}",
        details={"seconds": {str(key): value for key, value in seconds.items()}},
        noisy=any(noisy for _, noisy in epochs.values()),
    )


def _epoch(count: int, size: int) -> float:
    """Return the seconds of the second epoch, for which memory is already allocated."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    labels = np.arange(count) % 2
    few = images[:128], labels[:128]
    data = medzoo.Dataset.from_arrays((images, labels), few, few)
    torch.manual_seed(0)
    model = medzoo.create_model(
        "advanced_cnn", dataset=data, widths=(8, 16, 32), depths=(1, 1, 1), strides=(1, 2, 2)
    )
    recipe = medzoo.Recipe(
        epochs=2,
        validate_every=2,
        augmentation=medzoo.Augmentation(horizontal_flip=0.5, rotation=10, shift=0.1),
    )
    return medzoo.Trainer(model, data, recipe, progress=False).fit().history[-1]["seconds"]
