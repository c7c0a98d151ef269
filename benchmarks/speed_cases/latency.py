"""Latency: `predict` on one image, by every bundled model as `medzoo.compile` makes it."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import medzoo
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.contest import Contestant, contest
from benchmarks.timing.machine import mflop, peak_gflops
from medzoo.deployment import CompiledModel
from medzoo.weights import weights_index

CALLS = 100
"""Calls of a turn, of which the 99th percentile is taken."""
TARGET, TARGET_OF_TAIL = 3.0, 2.0
"""Milliseconds, and how many times the median the 99th percentile may be."""
INTEGERS = ", int8"
_NOISE = 64
_SIDE, _TURNS = 512, 30
"""Of the matrix products that show how even the machine itself is: about as long as a model."""


def latency(setting: Setting) -> list[Measurement]:
    """Measure each bundled classifier; one row per architecture, and one for the slowest calls."""
    rows: list[Measurement] = []
    tails: dict[str, float] = {}
    entries = [entry for entry in weights_index().values() if entry.spec.num_classes]
    for architecture in medzoo.list_models():
        names = [entry.name for entry in entries if entry.architecture == architecture]
        row, tail = _architecture(setting, architecture, names[:2] if setting.quick else names)
        rows.append(row)
        tails |= tail
    worst = max(tails, key=tails.__getitem__)
    last = Measurement(
        "latency of one image, 99th percentile of the bundled models",
        "times the median",
        {OURS: tails[worst]},
        tails[worst],
        target=TARGET_OF_TAIL,
        direction="most",
        note=f"{worst}, the highest of {len(tails)}",
        limit=_tail_of_arithmetic(),
        details={"times_the_median": tails},
        noisy=any(row.noisy for row in rows),
    )
    return [*rows, last]


def _architecture(
    setting: Setting, architecture: str, names: list[str]
) -> tuple[Measurement, dict[str, float]]:
    """Return the row of an architecture, and the 99th percentile over the median by model."""
    compiled: dict[str, CompiledModel] = {}
    for name in names:
        compiled[name] = medzoo.compile(medzoo.create_model(name, pretrained=True))
        if float(np.median(_calls(compiled[name], 20))) > TARGET:
            compiled[name + INTEGERS] = _in_integers(name)
    percentiles: dict[str, list[float]] = {name: [] for name in compiled}

    def turn(name: str) -> None:
        percentiles[name].append(float(np.quantile(_calls(compiled[name]), 0.99)))

    def milliseconds(seconds: Mapping[str, Any], name: str) -> Any:
        both = [seconds[one] for one in (name, name + INTEGERS) if one in compiled]
        return 1e3 * np.minimum.reduce(both)

    def slowest(seconds: Mapping[str, Any]) -> Any:
        return np.maximum.reduce([milliseconds(seconds, name) for name in names])

    contestants = {name: Contestant(partial(turn, name), CALLS) for name in compiled}
    result = contest(contestants, slowest, setting.clock, seconds=setting.seconds)
    medians = {name: float(milliseconds(result.seconds, name)) for name in names}
    last = max(names, key=medians.__getitem__)
    above = [name for name in compiled if name.endswith(INTEGERS)]
    row = Measurement(
        f"latency of one image, slowest bundled {architecture}",
        "ms",
        {OURS: medians[last], "fastest bundled model": min(medians.values())},
        kind="ms",
        target=TARGET,
        direction="most",
        note=f"`medzoo.compile`, {last}, the slowest of {len(names)}"
        + (f"; in 8-bit integers where float32 takes longer: {len(above)}" if above else ""),
        limit=_limit(last, compiled[_fastest(compiled, last, result.seconds)], medians[last]),
        details={"ms": {name: 1e3 * value for name, value in result.seconds.items()}},
        **result.row(slowest),
    )
    tails = {}
    for name in names:
        fastest = _fastest(compiled, name, result.seconds)
        tails[name] = float(np.median(percentiles[fastest])) / medians[name]
    return row, tails


def _fastest(compiled: Collection[str], name: str, seconds: Mapping[str, float]) -> str:
    """Return which of the compiled models of a name takes less time."""
    both = [one for one in (name, name + INTEGERS) if one in compiled]
    return min(both, key=seconds.__getitem__)


def _limit(name: str, model: CompiledModel, milliseconds: float) -> str:
    """Say where the time of an image goes."""
    image = torch.zeros(1, *model.spec.input.shape)
    network = medzoo.create_model(name, pretrained=True)
    alone = 1e3 * np.median(timeit.repeat(lambda: model(image), repeat=CALLS, number=1))
    convolutions = sum(isinstance(layer, nn.Conv2d) for layer in network.modules())
    arithmetic, peak = mflop(network, image), peak_gflops()
    return (
        f"{name}: of {milliseconds:.1f} ms, the network alone takes {alone:.1f}, in "
        f"{convolutions} convolutions of {arithmetic:.0f} MFLOP together, which would be "
        f"{arithmetic / peak:.1f} ms at the peak of a float32 matrix product ({peak:.0f} GFLOP/s). "
        "Narrow layers of a single image do not reach the peak."
    )


def _tail_of_arithmetic() -> str:
    """Say how far the slowest of equal calls are from the median if nothing but sums is done."""
    a, b = torch.randn(2, _SIDE, _SIDE)
    product = torch.empty_like(a)
    turns = [_milliseconds(partial(torch.mm, a, b, out=product)) for _ in range(_TURNS)]
    tails = [float(np.quantile(turn, 0.99) / np.median(turn)) for turn in turns]
    return (
        f"A matrix product that takes {np.median(turns):.1f} ms and does nothing else has a 99th "
        f"percentile of {np.median(tails):.2g} times its median on this machine, and in the worst "
        f"of {_TURNS} turns {max(tails):.2g} times: a call can be no more even than the machine."
    )


def _calls(model: CompiledModel, count: int = CALLS) -> list[float]:
    """Return the milliseconds of single calls of `predict`."""
    channels, height, width = model.spec.input.shape
    shape = (height, width) if channels == 1 else (height, width, channels)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return _milliseconds(partial(medzoo.predict, model, image), count)


def _milliseconds(call: Callable[[], object], count: int = CALLS) -> list[float]:
    """Return how long each of some calls takes."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def _in_integers(name: str) -> CompiledModel:
    """Compile a model in 8-bit integers whose ranges come from noise, which takes as long."""
    model = medzoo.create_model(name, pretrained=True)
    shape = (_NOISE, *model.spec.input.shape)
    noise = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    return medzoo.compile(model, precision="int8", calibration=noise.to(torch.uint8))
