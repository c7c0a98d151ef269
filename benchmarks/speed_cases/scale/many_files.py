"""A folder of very many files: memory, time, and going on with a table that was begun."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.contest import quiet
from benchmarks.timing.process import run_python

CHECKPOINT = "advanced_cnn.pneumoniamnist"
COUNT, QUICK_COUNT, FEW = 100_000, 5_000, 2_000
SUBFOLDER = 1_000
"""Files per folder."""

_PREDICT = """
import json, sys
from benchmarks.timing.process import peak_gb
from medzoo.__main__ import main
if main():
    sys.exit("predict failed")
print(json.dumps({"peak_gb": peak_gb()}))
"""


def many_files(setting: Setting) -> list[Measurement]:
    """Predict a folder from the command line, as a whole process, and then again with --resume."""
    count = QUICK_COUNT if setting.quick else COUNT
    with tempfile.TemporaryDirectory(dir=setting.temporary) as name:
        few, many = Path(name) / "few", Path(name) / "many"
        write_files(setting, few, FEW)
        write_files(setting, many, count)
        base = _predict(few)
        whole, is_noisy = quiet(lambda: _predict(many), setting.clock, attempts=1)
        again = _predict(many, "--resume")
        rows = sum(1 for _ in _table(many).open()) - 1
    if rows != count:
        raise RuntimeError(f"the table of {count:,} files has {rows:,} rows")
    title = f"predict on a folder of {count:,} files, {CHECKPOINT}"
    return [
        Measurement(
            f"memory: {title}",
            "GB, peak resident",
            {OURS: whole["peak_gb"], f"the same with {FEW:,} files": base["peak_gb"]},
            whole["peak_gb"] - base["peak_gb"],
            "GB",
            target=0.1,
            direction="most",
            note="over the same with few files",
        ),
        Measurement(
            title,
            "s",
            {OURS: whole["seconds"], "the same command, --resume": again["seconds"]},
            whole["seconds"],
            "s",
            note=f"a whole process that writes a table: {count / whole['seconds']:,.0f} files/s; "
            "with --resume, no file is read again",
            noisy=is_noisy,
        ),
    ]


def write_files(setting: Setting, folder: Path, count: int) -> None:
    """Fill folders with files: names of the same few hundred files, which need no space each.

    Args:
        setting: Where the images are.
        folder: Folder to create.
        count: Number of files.
    """
    pool = folder.with_name(f"{folder.name}_pool")
    pool.mkdir(parents=True)
    images = setting.data.val.images[:512]
    for index, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(pool / f"{index}.png")
    for index in range(count):
        inner = folder / f"{index // SUBFOLDER:03}"
        inner.mkdir(parents=True, exist_ok=True)
        os.link(pool / f"{index % len(images)}.png", inner / f"{index:06}.png")


def _predict(folder: Path, *options: str) -> dict[str, Any]:
    command = ("predict", CHECKPOINT, str(folder), "--csv", str(_table(folder)), "--device", "cpu")
    start = time.perf_counter()
    printed = run_python("-W", "ignore", "-c", _PREDICT, *command, *options)
    seconds = time.perf_counter() - start
    return {**json.loads(printed.splitlines()[-1]), "seconds": seconds}


def _table(folder: Path) -> Path:
    return folder.with_suffix(".csv")
