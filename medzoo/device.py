"""Where computations run, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch

from medzoo.errors import unknown_name

Precision = Literal["auto", "float32", "bfloat16"]


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn ``"auto"`` into the best device present: CUDA, then MPS, then CPU.

    Args:
        device: ``"auto"``, any PyTorch device string, or a `torch.device`.

    Returns:
        The device to use.

    Raises:
        ValueError: If the string names no device, or one that this machine does not have.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a PyTorch device; use 'auto' or 'cpu'"
        ) from error
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(resolved.type, True):
        raise ValueError(f"device={device!r} is not available on this machine; use 'auto' or 'cpu'")
    return resolved


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 arithmetic is faster than float32 on this device.

    On CPUs without AMX or AVX512-BF16 instructions PyTorch emulates bfloat16, which is several
    times slower than float32 (``benchmarks/studies/precision.py`` measures it), so the
    instruction sets decide. The answer is a property of the machine, never of a measurement, so
    that a resumed run computes as the interrupted one did.

    Args:
        device: The device in question.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return False


def autocast(device: torch.device, precision: Precision = "auto") -> AbstractContextManager[object]:
    """Open the autocast context for a device and a precision.

    Args:
        device: Where the computation runs.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"`` (bfloat16 where it is faster).

    Raises:
        ValueError: If `precision` is none of these.
    """
    if precision not in get_args(Precision):
        raise unknown_name("precision", precision, get_args(Precision))
    if precision == "bfloat16" or (precision == "auto" and has_fast_bfloat16(device)):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
