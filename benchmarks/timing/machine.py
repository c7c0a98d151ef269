"""The machine: what it is, and what it can do at most."""

from __future__ import annotations

import os
import platform
import time
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from medzoo.device import has_fast_bfloat16

PACKAGES = (
    "medzoo",
    "torch",
    "torchvision",
    "timm",
    "medmnist",
    "lightning",
    "kornia",
    "onnxruntime",
    "openvino",
    "fastapi",
    "litserve",
)
CPU = torch.device("cpu")
_WARM_UP = 0.5  # seconds that an idle GPU needs


def machine(device: torch.device = CPU) -> dict[str, Any]:
    """Describe the machine and the versions of the packages.

    Args:
        device: Where is computed; of a GPU, its name takes the place of the processor's.
    """
    return {
        "processor": processor(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": instructions(device),
        "system": platform.system(),
        "python": platform.python_version(),
        "date": datetime.now(timezone.utc).date().isoformat(),
        "versions": {package: _version(package) for package in PACKAGES},
        "peak_gflops": peak_gflops(device, dtype := training_dtype(device)),
        "peak_dtype": str(dtype).removeprefix("torch."),
    }


def instructions(device: torch.device = CPU) -> str:
    """Return the instruction sets that PyTorch uses: "AVX2", "AVX512 with BF16", "CUDA 9.0".

    Args:
        device: Where is computed.
    """
    if device.type == "cuda":
        return "CUDA {}.{}".format(*torch.cuda.get_device_capability(device))
    name = torch.backends.cpu.get_cpu_capability()
    if torch.cpu._is_amx_tile_supported():
        return f"{name} with AMX"
    return f"{name} with BF16" if torch.cpu._is_avx512_bf16_supported() else name


def processor(device: torch.device = CPU) -> str:
    """Return what computes: "AMD EPYC (family 23, model 1)", or the name of a GPU.

    Args:
        device: Where is computed.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    known = {key.strip(): value.strip() for key, value in pairs}
    name = known.get("model name", platform.machine())
    return f"{name} (family {known.get('cpu family', '?')}, model {known.get('model', '?')})"


def mflop(model: nn.Module, images: Tensor) -> float:
    """Count the arithmetic of a forward pass, in MFLOP per image.

    Args:
        model: The model; left in evaluation mode.
        images: (N, C, H, W), normalised.
    """
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.eval()(images)
    return counter.get_total_flops() / len(images) / 1e6


def peak_gflops(
    device: torch.device = CPU, dtype: torch.dtype = torch.float32, repeats: int = 9
) -> float:
    """Measure the rate of a large matrix product, in GFLOP/s.

    Args:
        device: Where: 2048 x 2048 on a CPU, 8192 x 8192 on a GPU.
        dtype: Of the numbers.
        repeats: Number of products; the fastest counts.
    """
    size = 8192 if device.type == "cuda" else 2048
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    product = torch.empty_like(a)
    start = time.perf_counter()
    while time.perf_counter() - start < (_WARM_UP if device.type == "cuda" else 0):
        torch.mm(a, b, out=product)  # until the clock rate has risen
        wait(device)
    torch.mm(a, b, out=product)
    best = float("inf")
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        torch.mm(a, b, out=product)
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def training_dtype(device: torch.device) -> torch.dtype:
    """Return the type of numbers in which medzoo trains on a device.

    Args:
        device: The device.
    """
    return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32


def wait(device: torch.device) -> None:
    """Wait until a device has done what it was asked to do.

    Args:
        device: The device; a CPU is never behind.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
