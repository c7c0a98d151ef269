"""Start-up: importing the library and creating the first model, in fresh processes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.contest import Contestant, contest, difference
from benchmarks.timing.process import run_python

_TORCH = "import torch"
_IMPORT = "import torch, medzoo"
_READY = "import torch, timm, medzoo, medzoo.models, medzoo.weights"
_CREATE = f'{_READY}; medzoo.create_model("advanced_cnn", dataset="dermamnist", pretrained=True)'
_CERTAIN = 0.1
"""Seconds: the width of an interval that is narrow enough."""


def start_up(setting: Setting) -> list[Measurement]:
    """Measure importing the library and creating a pretrained model, in fresh processes."""
    return [
        _row(
            setting,
            "import medzoo, over import torch",
            {OURS: _IMPORT, "import torch alone": _TORCH},
            target=0.3,
            note="difference of fresh processes",
        ),
        _row(
            setting,
            'create_model("advanced_cnn", dataset="dermamnist", pretrained=True)',
            {OURS: _CREATE, "the imports alone": _READY},
            target=0.5,
            note="over the imports, in fresh processes, weights in the file cache",
        ),
    ]


def _row(
    setting: Setting, work: str, code: Mapping[str, str], target: float, note: str
) -> Measurement:
    contestants = {name: Contestant(partial(_run, lines)) for name, lines in code.items()}
    over = difference(*code)
    result = contest(contestants, over, setting.clock, seconds=setting.seconds, width=_CERTAIN)
    return Measurement(
        work,
        "s",
        result.seconds,
        kind="s",
        target=target,
        direction="most",
        note=note,
        **result.row(over, _CERTAIN),
    )


def _run(code: str) -> str:
    return run_python("-W", "ignore", "-c", code)
