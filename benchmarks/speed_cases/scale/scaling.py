"""Scaling: data-parallel processes against one process with all threads."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.contest import quiet
from benchmarks.timing.process import run_python

ARCHITECTURE = "advanced_cnn"


def scaling(setting: Setting) -> list[Measurement]:
    """Train data-parallel with one process per thread, and in one process with all threads."""
    threads = torch.get_num_threads()
    if threads < 2:
        return []
    one = f"one process, {threads} threads"
    ways = {OURS: (threads, 1), one: (1, threads)}
    results = {
        name: quiet(partial(_rate, setting, *way), setting.clock) for name, way in ways.items()
    }
    rates = {name: rate for name, (rate, _) in results.items()}
    return [
        Measurement(
            f"data-parallel training, {ARCHITECTURE}: {threads} processes of one thread",
            "images/s",
            rates,
            rates[OURS] / rates[one],
            note=f"against {one}",
            noisy=any(noisy for _, noisy in results.values()),
        )
    ]


def _rate(setting: Setting, processes: int, threads: int) -> float:
    with tempfile.TemporaryDirectory() as name:
        recipe = Path(name) / "recipe.json"
        epochs = 2 if setting.quick else 3
        recipe.write_text(json.dumps({"epochs": epochs, "validate_every": epochs}))
        subset = Path(name) / "few.npz"
        _write_subset(setting, subset)
        train = [
            *("-m", "medzoo", "train", ARCHITECTURE, "--dataset", str(subset)),
            *("--recipe", str(recipe), "--output", name, "--device", "cpu"),
        ]
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        run_python(*(launcher if processes > 1 else []), *train, environment=environment)
        (history,) = Path(name).glob("*/metrics/*.jsonl")
        rows = [json.loads(line) for line in history.read_text().splitlines()]
        return statistics.median(row["images_per_second"] for row in rows[1:])


def _write_subset(setting: Setting, path: Path) -> None:
    """Write a few batches of the data set to a file, because the command line reads files."""
    count = 256 if setting.quick else 768
    small = setting.small(count)
    splits = {"train": small.train, "val": small.val, "test": small.val}
    arrays = {
        f"{split}_{part}": getattr(source, part).numpy()
        for split, source in splits.items()
        for part in ("images", "labels")
    }
    np.savez(path, **arrays)
