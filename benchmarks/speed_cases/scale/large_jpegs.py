"""Folders of large JPEG files: decoding, resizing, and the network beside them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import medzoo
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.contest import Contestant, contest, faster
from medzoo.images import read_image, to_uint8
from medzoo.models import Classifier
from medzoo.transforms import prepare_batch

CHECKPOINT = "advanced_cnn.dermamnist"
SIZE, QUALITY, GRAIN, BATCH = 1000, 90, 4, 64
COUNT, QUICK_COUNT = 128, 64
ONE_BY_ONE = "one file after another"
BATCHES = "batch after batch, each decoded in threads"


def large_jpegs(setting: Setting) -> list[Measurement]:
    """Compare `predict` on a folder with loops that do not decode while the network computes."""
    count = QUICK_COUNT if setting.quick else COUNT
    model = medzoo.create_model(CHECKPOINT, pretrained=True)
    threads = min(4, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(dir=setting.temporary) as name:
        folder = Path(name)
        write_jpegs(setting, folder, count)
        paths = sorted(folder.iterdir())
        with ThreadPoolExecutor(threads) as pool:
            runs: dict[str, Callable[[], object]] = {
                OURS: partial(medzoo.predict, model, folder, device="cpu"),
                BATCHES: lambda: _loop(model, paths, lambda some: list(pool.map(_read, some))),
                ONE_BY_ONE: lambda: _loop(model, paths, lambda some: list(map(_read, some))),
            }
            contestants = {name: Contestant(run, count) for name, run in runs.items()}
            against = faster(OURS, BATCHES)
            result = contest(contestants, against, setting.clock, seconds=setting.seconds)
    row = Measurement(
        f"predict on a folder of JPEGs of {SIZE} x {SIZE}",
        "images/s",
        result.rates,
        target=2,
        note=f"against {BATCHES}, as it was before; "
        f"{result.seconds[ONE_BY_ONE] / result.seconds[OURS]:.2f}x {ONE_BY_ONE}",
        **result.row(against),
    )
    used = row.timing["processor_seconds"][OURS]
    bound = result.seconds[BATCHES] / (used / (os.cpu_count() or 1))
    return [
        replace(
            row,
            limit=f"Decoding: an image takes {1e3 * used:.1f} ms of processor time, so that all of "
            f"the time of {os.cpu_count()} processors would be {bound:.2f}x.",
        )
    ]


def write_jpegs(setting: Setting, folder: Path, count: int) -> None:
    """Write enlarged images of the validation split, with the grain of a camera.

    Args:
        setting: Where the images are.
        folder: Existing folder.
        count: Number of files.
    """
    grain = np.random.default_rng(0).normal(0, GRAIN, (SIZE, SIZE, 3))
    for index, image in enumerate(setting.data.val.images[:count]):
        small = Image.fromarray(image.permute(1, 2, 0).numpy())
        large = np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        pixels = (large + np.roll(grain, index, axis=0)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:05}.jpg", quality=QUALITY)


def _read(path: Path) -> Tensor:
    return to_uint8(read_image(path))


@torch.inference_mode()
def _loop(
    model: Classifier, paths: list[Path], read: Callable[[list[Path]], list[Tensor]]
) -> list[Tensor]:
    """Read a batch; only then run the network on it."""
    logits = []
    for start in range(0, len(paths), BATCH):
        images = read(paths[start : start + BATCH])
        batch = torch.cat([prepare_batch(one.unsqueeze(0), model.spec.input) for one in images])
        logits.append(model(batch))
    return logits
