"""Timing: contestants in turn, medians, fresh processes, and the peak of the machine."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.reporting.paths import ROOT
from benchmarks.speed_cases.measurement import OURS

PACKAGES = (
    "medzoo",
    "torch",
    "torchvision",
    "timm",
    "medmnist",
    "lightning",
    "kornia",
    "onnxruntime",
    "fastapi",
    "litserve",
)


def in_turn(contestants: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Time contestants in turn for several rounds; return the median seconds of each.

    They take turns so that a machine that slows down (heat, other load) affects all of them.

    Args:
        contestants: Name -> function to time. Each is called once untimed first.
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
    """Convert seconds into rates.

    Args:
        count: Number of items processed in those seconds.
        seconds: Seconds by name.
    """
    return {name: count / value for name, value in seconds.items()}


def ratio(values: Mapping[str, float], peer: str) -> float:
    """Return the rate of medzoo divided by the rate of a peer.

    Args:
        values: Rates by name.
        peer: Name of the peer.
    """
    return values[OURS] / values[peer]


def mflop(model: nn.Module, images: Tensor) -> float:
    """Count the arithmetic of a forward pass, in MFLOP per image.

    Args:
        model: The model; left in evaluation mode.
        images: (N, C, H, W), normalised.
    """
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.eval()(images)
    return counter.get_total_flops() / len(images) / 1e6


def peak_gflops(size: int = 2048, repeats: int = 9) -> float:
    """Measure the rate of a large float32 matrix product, in GFLOP/s.

    Args:
        size: Rows and columns of the matrices.
        repeats: Number of products; the fastest counts.
    """
    a, b = torch.randn(2, size, size)
    product = torch.empty(size, size)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b, out=product)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def run_python(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a fresh Python process and return what it prints.

    Args:
        *arguments: Arguments of the interpreter.
        environment: Environment variables; None for those of this process.

    Raises:
        RuntimeError: If the process fails; the message holds what it wrote to stderr.
    """
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def machine() -> dict[str, Any]:
    """Describe the machine and the versions of the packages."""
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
    """Return model name and generation of the processor, e.g. "AMD EPYC (family 23, model 1)"."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    known = {key.strip(): value.strip() for key, value in pairs}
    name = known.get("model name", platform.machine())
    return f"{name} (family {known.get('cpu family', '?')}, model {known.get('model', '?')})"
