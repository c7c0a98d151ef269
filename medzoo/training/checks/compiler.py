"""Whether `torch.compile` can work here."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

import torch
from torch import Tensor

_COMPILERS = ("g++", "clang++", "c++", "gcc", "clang", "cc", "cl")


def check_compiler(device: torch.device) -> None:
    """Look for what `torch.compile` needs, without compiling anything.

    Args:
        device: Where the compiled network is to run.

    Raises:
        ValueError: If something is missing.
    """
    named = [os.environ[name] for name in ("CXX", "CC") if os.environ.get(name)]
    if device.type == "cuda" and find_spec("triton") is None:
        raise _no_compiler(device, "Triton is not installed")
    if not any(shutil.which(name) for name in (*named, *_COMPILERS)):
        raise _no_compiler(device, "there is no C++ compiler")
    try:
        torch.compile(_double)  # compiles when it is called, but refuses unsupported systems now
    except Exception as error:
        raise _no_compiler(device, error) from error


def try_compiler(device: torch.device) -> None:
    """Compile a small function, so that a broken compiler is an error that says what to do.

    Args:
        device: Where the compiled network is to run.

    Raises:
        ValueError: If `torch.compile` does not work here.
    """
    try:
        torch.compile(_double)(torch.ones(8, device=device))
    except Exception as error:  # whatever the many tools behind it raise
        raise _no_compiler(device, error) from error


def _double(x: Tensor) -> Tensor:
    return 2 * x + 1


def _no_compiler(device: torch.device, why: object) -> ValueError:
    lines = str(why).strip().splitlines() or [type(why).__name__]
    return ValueError(
        f"compile=True does not work on this machine's {device.type} ({lines[0]:.200}); "
        "torch.compile needs a C++ compiler (e.g. apt install g++), on CUDA also Triton. "
        "Install what is missing, or leave compile out"
    )
