"""Training on BreastMNIST: one command of medzoo, and fastai's usual route, as whole processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

import medzoo
from benchmarks.reporting.format import percent
from benchmarks.reporting.paths import RESULTS
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.time_to_accuracy import train_and_evaluate
from benchmarks.timing.contest import quiet
from medzoo.datasets.info import SplitName

DATASET, ARCHITECTURE = "breastmnist", "advanced_cnn"
FASTAI = "fastai, ResNet-18"
SEEDS, EPOCHS = range(3), 30
WORKER = Path(__file__).with_name("fastai_worker.py")
_FOLDERS: Mapping[SplitName, str] = {"train": "train", "val": "valid", "test": "test"}


def end_to_end(setting: Setting) -> list[Measurement]:
    """Train with several seeds in turn; the test split is read after each training."""
    if setting.peer_python is None:
        raise ValueError("this case needs --peer-python, the Python of an environment with fastai")
    runs: dict[str, list[dict[str, Any]]] = {OURS: [], FASTAI: []}
    is_noisy = False
    with tempfile.TemporaryDirectory(dir=setting.temporary) as folder:
        write_folders(medzoo.load_dataset(DATASET, root=setting.folder), Path(folder))
        for seed in SEEDS[:1] if setting.quick else SEEDS:
            for name, run in (
                (OURS, partial(train_and_evaluate, setting, DATASET, ARCHITECTURE, seed)),
                (FASTAI, partial(_fastai, setting.peer_python, folder, seed)),
            ):
                found, is_noisy_too = quiet(run, setting.clock, attempts=2)
                runs[name].append(found)
                is_noisy |= is_noisy_too
    seconds = {name: _mean(own, "seconds") for name, own in runs.items()}
    expected = _row_acc()
    reached = _mean(runs[FASTAI], "acc") >= expected
    return [
        Measurement(
            "training on BreastMNIST: `medzoo train`",
            "s",
            seconds,
            seconds[FASTAI] / seconds[OURS],
            note=f"whole processes, {len(runs[OURS])} seeds; medzoo: {_scores(runs[OURS])} "
            f"(published row: {percent(expected)}); fastai's `fit_one_cycle`, {EPOCHS} epochs from "
            f"random weights (`pretrained=False`): {_scores(runs[FASTAI])}"
            + ("" if reached else ", so that the ratio is a lower bound"),
            details={"runs": runs, "row_acc": expected},
            noisy=is_noisy,
        )
    ]


def write_folders(data: medzoo.Dataset, folder: Path) -> None:
    """Write gray images as fastai finds them: a folder per split, in it one per class.

    Args:
        data: The images.
        folder: Existing folder.
    """
    for split, name in _FOLDERS.items():
        for index, (image, label) in enumerate(
            zip(data.splits[split].images, data.splits[split].labels.tolist(), strict=True)
        ):
            inner = folder / name / str(label)
            inner.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(inner / f"{index:05}.png")


def _fastai(python: str, folder: str, seed: int) -> dict[str, Any]:
    """Return what the worker prints; its seconds end before the test split is read."""
    start = time.perf_counter()
    command = [python, "-W", "ignore", str(WORKER), folder, str(EPOCHS), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"with_evaluation": time.perf_counter() - start}


def _row_acc() -> float:
    """Return the mean test ACC of the published row of this network and data set."""
    rows = json.loads((RESULTS / "reproduce.json").read_text())["rows"]
    row = next(row for row in rows if row["name"] == f"{DATASET}/{ARCHITECTURE}")
    return float(row["seed_stats"]["acc"]["mean"])


def _scores(runs: Sequence[Mapping[str, Any]]) -> str:
    val, test = (percent(_mean(runs, key)) for key in ("val_acc", "acc"))
    return f"validation ACC {val}, test ACC {test}"


def _mean(runs: Sequence[Mapping[str, Any]], key: str) -> float:
    return statistics.mean(run[key] for run in runs)
