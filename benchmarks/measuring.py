"""How speed is measured here: contestants in turn, medians, and what the machine can do at most."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

OURS = "medzoo"
PACKAGES = (
    "medzoo",
    "torch",
    "torchvision",
    "timm",
    "medmnist",
    "lightning",
    "kornia",
    "onnxruntime",
)


@dataclass(frozen=True)
class Measurement:
    """One row of the table of speeds.

    Attributes:
        work: What was done.
        unit: Of all values, e.g. ``"images/s"``.
        values: Contestant -> median; medzoo's first.
        achieved: What the target speaks of: a ratio, a time, a share.
        kind: Unit of `achieved`: ``"x"`` (a ratio), ``"s"``, ``"ms"``, ``"GB"``, ``"%"``, ``""``.
        target: The bound on `achieved`, or None if there is no target.
        direction: Whether the bound is a least or a most.
        note: What was compared with what.
        limit: What bounds it, told if the target was missed.
        details: Anything else worth keeping.
    """

    work: str
    unit: str
    values: dict[str, float]
    achieved: float
    kind: str = "x"
    target: float | None = None
    direction: Literal["least", "most"] = "least"
    note: str = ""
    limit: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None if there is none."""
        if self.target is None:
            return None
        if self.direction == "least":
            return self.achieved >= self.target
        return self.achieved <= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values, with `met` among them for whoever reads the file."""
        return asdict(self) | {"met": self.met}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measurement:
        """Rebuild from `to_dict`'s values."""
        return cls(**{key: value for key, value in values.items() if key != "met"})


def in_turn(contestants: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Time contestants one after the other, again and again; return the median seconds of each.

    In turn, so that a machine that slows down (heat, neighbours) slows all of them down.

    Args:
        contestants: Name -> what to time. Each is called once before, untimed.
        repeats: Timed rounds.
    """
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def per_second(count: float, seconds: Mapping[str, float]) -> dict[str, float]:
    """Turn seconds into rates."""
    return {name: count / value for name, value in seconds.items()}


def ratio(values: Mapping[str, float], peer: str) -> float:
    """How many times medzoo's rate is a peer's."""
    return values[OURS] / values[peer]


def mflop(model: nn.Module, images: Tensor) -> float:
    """Count the arithmetic of a forward pass, in MFLOP an image.

    Args:
        model: The model; left in evaluation mode.
        images: (N, C, H, W), as it takes them.
    """
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.eval()(images)
    return counter.get_total_flops() / len(images) / 1e6


def peak_gflops(size: int = 2048, repeats: int = 9) -> float:
    """Measure what the machine reaches in a large float32 matrix product, in GFLOP/s."""
    a, b = torch.randn(2, size, size)
    product = torch.empty(size, size)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b, out=product)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def machine() -> dict[str, Any]:
    """Describe where and with what the figures were measured."""
    versions = {package: _version(package) for package in PACKAGES}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
        "peak_gflops": peak_gflops(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Return the processor's model name and generation, e.g. "AMD EPYC (family 23, model 1)"."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    known = {key.strip(): value.strip() for key, value in pairs}
    name = known.get("model name", platform.machine())
    return f"{name} (family {known.get('cpu family', '?')}, model {known.get('model', '?')})"
