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
_CALL = 'create_model("advanced_cnn", dataset="dermamnist", pretrained=True)'
_CREATE = f"{_READY}; medzoo.{_CALL}"
_TIMED = f"""import time; {_READY}
start = time.perf_counter()
medzoo.{_CALL}
print(time.perf_counter() - start)"""
_REPEATS = 9
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
            _CALL,
            {OURS: _CREATE, "the imports alone": _READY},
            target=0.5,
            note="over the imports, in fresh processes, weights in the file cache",
            limit=_call_alone(),
        ),
    ]


def _call_alone() -> str:
    """Say how long the call takes by a clock inside its process."""
    seconds = sorted(float(_run(_TIMED)) for _ in range(_REPEATS))
    return (
        f"A clock inside the process says {seconds[_REPEATS // 2]:.2g} s for the call (median of "
        f"{_REPEATS} processes, {seconds[0]:.2g} to {seconds[-1]:.2g} s). The row compares whole "
        "processes, whose imports vary, too."
    )


def _row(
    setting: Setting,
    work: str,
    code: Mapping[str, str],
    target: float,
    note: str,
    limit: str = "",
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
        limit=limit,
        **result.row(over, _CERTAIN),
    )


def _run(code: str) -> str:
    return run_python("-W", "ignore", "-c", code)
