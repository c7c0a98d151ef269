"""Large data sets: opening them, and an epoch of training on them."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.scale.memory import write_synthetic_file
from benchmarks.timing.contest import quiet
from benchmarks.timing.process import run_python

SETS = ((112_120, 64, 128), (20_000, 224, 32))
"""Images, their height, and the images of a batch; the first set is as large as ChestMNIST."""
NETWORK = "simple_cnn"
STEPS = 4
OPENINGS = 3

_OPEN = """
import sys, time
import torch, medzoo.datasets.load
start = time.perf_counter()
medzoo.load_dataset(sys.argv[1])
print(time.perf_counter() - start)
"""
_TRAIN = """
import json, sys
import numpy as np
import medzoo
from benchmarks.timing.process import peak_gb
path, network, images, batch = sys.argv[1:]
data = medzoo.load_dataset(path)
rows = np.linspace(0, len(data.train) - 1, int(images)).astype(int)
few = medzoo.Dataset(data.info, data.train.subset(rows), data.val, data.test, data.provenance)
model = medzoo.create_model(network, dataset=data)
recipe = medzoo.Recipe(epochs=3, validate_every=3, batch_size=int(batch))
history = medzoo.Trainer(model, few, recipe, progress=False, device="cpu").fit().history
print(json.dumps({
    "seconds": history[1]["seconds"],
    "peak_gb": peak_gb(),
}))
"""


def large_sets(setting: Setting) -> list[Measurement]:
    """Open synthetic data sets, and train on rows from everywhere in them."""
    rows = []
    for count, size, batch in SETS:
        count = count // 20 if setting.quick else count
        with tempfile.TemporaryDirectory(dir=setting.temporary) as name:
            path = Path(name) / "large.npz"
            write_synthetic_file(path, count, size)
            rows += _rows(setting, path, count, size, batch)
    return rows


def _rows(setting: Setting, path: Path, count: int, size: int, batch: int) -> list[Measurement]:
    title = f"{count:,} images of {size} x {size}"
    first = _run(_OPEN, path)
    again, is_noisy = quiet(
        lambda: statistics.median(_run(_OPEN, path) for _ in range(OPENINGS)), setting.clock
    )
    images = batch * (2 if setting.quick else STEPS)
    train = partial(_run, _TRAIN, path, NETWORK, str(images), str(batch))
    epoch, is_noisy_too = quiet(train, setting.clock, attempts=2)
    seconds = epoch["seconds"] * count / images
    file_gb = path.stat().st_size / 1024**3
    return [
        Measurement(
            f"opening {title}",
            "s",
            {OURS: again, "the first time": first},
            again,
            "s",
            target=0.2,
            direction="most",
            note="median of fresh processes that open it again, after the imports",
            noisy=is_noisy,
        ),
        Measurement(
            f"epoch of {title}, {NETWORK}",
            "s",
            {OURS: seconds},
            seconds,
            "s",
            note=f"from {images // batch} steps of {batch} images from everywhere in the file of "
            f"{file_gb:.1f} GB; peak memory {epoch['peak_gb']:.1f} GB",
            details=epoch,
            noisy=is_noisy_too,
        ),
    ]


def _run(code: str, path: Path, *arguments: str) -> Any:
    environment = os.environ | {"XDG_CACHE_HOME": str(path.parent)}
    printed = run_python("-W", "ignore", "-c", code, str(path), *arguments, environment=environment)
    return json.loads(printed.splitlines()[-1])
