"""Latency: `predict` on one image, by every bundled model as `medzoo.compile` makes it."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import medzoo
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.contest import Contest, Contestant, contest
from benchmarks.timing.machine import mflop, peak_gflops
from medzoo.deployment import CompiledModel
from medzoo.weights import weights_index

CALLS = 100
"""Calls of a turn, of which the 99th percentile is taken."""
TARGET, TARGET_OF_TAIL = 3.0, 2.0
"""Milliseconds, and how many times the median the 99th percentile may be."""
INTEGERS = ", int8"
_NOISE = 64
_NEAR = 0.7  # times the target, from which the same model is also measured in 8-bit integers
PRODUCT = "a matrix product"
"""Takes turns with the models, to show how even equal calls are on this machine."""
_SIDE = 512  # of its matrices, so that it takes about as long as a model


def latency(setting: Setting) -> list[Measurement]:
    """Measure each bundled classifier; one row per architecture, and one for the slowest calls."""
    rows: list[Measurement] = []
    tails: dict[str, float] = {}
    products: dict[str, float] = {}
    entries = [entry for entry in weights_index().values() if entry.spec.num_classes]
    for architecture in medzoo.list_models():
        names = [entry.name for entry in entries if entry.architecture == architecture]
        row, tail = _architecture(setting, architecture, names[:2] if setting.quick else names)
        rows.append(row)
        products[architecture] = tail.pop(PRODUCT)
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
        limit=_limit_of_tails(worst, tails, products),
        details={"times_the_median": tails, "product_times_the_median": products},
        noisy=any(row.noisy for row in rows),
    )
    return [*rows, last]


def _architecture(
    setting: Setting, architecture: str, names: list[str]
) -> tuple[Measurement, dict[str, float]]:
    """Return the row of an architecture, and by model the 99th percentile over the median."""
    compiled: dict[str, CompiledModel] = {}
    for name in names:
        compiled[name] = medzoo.compile(medzoo.create_model(name, pretrained=True))
        if float(np.median(call_milliseconds(_prediction(compiled[name]), 20))) > _NEAR * TARGET:
            compiled[name + INTEGERS] = _in_integers(name)
    calls: dict[str, Callable[[], object]] = {
        **{name: _prediction(model) for name, model in compiled.items()},
        PRODUCT: _product(),
    }
    turns: dict[str, list[list[float]]] = {name: [] for name in calls}

    def turn(name: str) -> None:
        turns[name].append(call_milliseconds(calls[name]))

    def milliseconds(seconds: Mapping[str, Any], name: str) -> Any:
        both = [seconds[one] for one in (name, name + INTEGERS) if one in compiled]
        return 1e3 * np.minimum.reduce(both)

    def slowest(seconds: Mapping[str, Any]) -> Any:
        return np.maximum.reduce([milliseconds(seconds, name) for name in names])

    contestants = {name: Contestant(partial(turn, name), CALLS) for name in calls}
    contended = contest(contestants, slowest, setting.clock, seconds=setting.seconds)
    for own in turns.values():
        del own[0]  # that of the untimed turn
    result = _by_median(contended, turns)
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
        note=f"median of `predict` with `medzoo.compile`, {last}, the slowest of {len(names)}"
        + (f"; of {len(above)}, the faster of float32 and 8-bit integers" if above else ""),
        limit=_limit(last, compiled[_fastest(compiled, last, result.seconds)], medians[last]),
        details={"ms": {name: 1e3 * value for name, value in result.seconds.items()}},
        **result.row(slowest),
    )
    fastest = {name: _fastest(compiled, name, result.seconds) for name in names}
    tails = {name: _tail(turns[fastest.get(name, name)]) for name in (*names, PRODUCT)}
    return row, tails


def _by_median(result: Contest, turns: Mapping[str, list[list[float]]]) -> Contest:
    """Return a contest in which a turn takes as long as if each call took the median.

    Args:
        result: The contest.
        turns: By contestant: the milliseconds of the calls of each turn.
    """
    medians = {
        name: [
            replace(turn, seconds=CALLS * float(np.median(calls)) / 1e3)
            for turn, calls in zip(result.turns[name], own, strict=True)
        ]
        for name, own in turns.items()
    }
    return replace(result, turns=medians)


def _tail(turns: list[list[float]]) -> float:
    """Return the 99th percentile of a turn's calls over their median, in a typical turn."""
    return float(np.median([np.quantile(calls, 0.99) / np.median(calls) for calls in turns]))


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


def _limit_of_tails(worst: str, tails: Mapping[str, float], products: Mapping[str, float]) -> str:
    """Say how even the calls are, and those of a product that does nothing but compute."""
    architecture = worst.partition(".")[0]
    few = sum(tail <= TARGET_OF_TAIL for tail in tails.values())
    return (
        f"{few} of {len(tails)} models keep it; {worst} has {tails[worst]:.2g} times. In the same "
        f"rounds, a matrix product of {_SIDE} x {_SIDE} numbers, which does nothing but compute, "
        f"has a 99th percentile of {products[architecture]:.2g} times its median; beside the other "
        f"architectures, up to {max(products.values()):.2g} times."
    )


def _prediction(model: CompiledModel) -> Callable[[], object]:
    """Return a call of `predict` on one image."""
    channels, height, width = model.spec.input.shape
    shape = (height, width) if channels == 1 else (height, width, channels)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return partial(medzoo.predict, model, image)


def _product() -> Callable[[], object]:
    """Return a matrix product, which takes the same time whenever nothing else runs."""
    a, b = torch.randn(2, _SIDE, _SIDE)
    return partial(torch.mm, a, b, out=torch.empty_like(a))


def call_milliseconds(call: Callable[[], object], count: int = CALLS) -> list[float]:
    """Return how many milliseconds each of some calls takes.

    Args:
        call: What is called.
        count: How often.
    """
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
