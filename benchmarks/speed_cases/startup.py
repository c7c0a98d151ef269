"""Start-up: importing the library and creating the first model, in fresh processes."""

from __future__ import annotations

import statistics

from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.timing import run_python

_TORCH = "import torch"
_IMPORT = "import torch, medzoo"
_CREATE = """
import time, torch, timm, medzoo
import medzoo.models, medzoo.weights
start = time.perf_counter()
medzoo.create_model("advanced_cnn", dataset="dermamnist", pretrained=True)
print(time.perf_counter() - start)
"""
_IMPORT_TIME = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def start_up(setting: Setting) -> list[Measurement]:
    """Measure importing the library and creating a pretrained model, in fresh processes."""
    repeats = 3 if setting.quick else 7
    _run(_IMPORT)  # later runs find all files in the file cache
    seconds: dict[str, list[float]] = {_TORCH: [], _IMPORT: [], _CREATE: []}
    for _ in range(repeats):
        for statement in (_TORCH, _IMPORT):
            seconds[statement].append(float(_run(_IMPORT_TIME.format(statement=statement))))
        seconds[_CREATE].append(float(_run(_CREATE)))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return [
        Measurement(
            "import medzoo, over import torch",
            "s",
            {OURS: medians[_IMPORT], "import torch alone": medians[_TORCH]},
            medians[_IMPORT] - medians[_TORCH],
            "s",
            target=0.3,
            direction="most",
            note="difference of medians of fresh processes",
        ),
        Measurement(
            'create_model("advanced_cnn", dataset="dermamnist", pretrained=True)',
            "s",
            {OURS: medians[_CREATE]},
            medians[_CREATE],
            "s",
            target=0.5,
            direction="most",
            note="first call of a process, after the imports, weights in the file cache",
        ),
    ]


def _run(code: str) -> str:
    return run_python("-W", "ignore", "-c", code)
