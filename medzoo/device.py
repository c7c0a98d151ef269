"""Where computations run, and in which precision."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import torch

from medzoo.errors import unknown_name

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Precision = Literal["auto", "float32", "bfloat16"]


_threads_of: int | None = None
"""The process in which PyTorch's threads were started."""


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn ``"auto"`` into the best device present: CUDA, then MPS, then CPU.

    Args:
        device: ``"auto"``, any PyTorch device string, or a `torch.device`.

    Returns:
        The device to use.

    Raises:
        TypeError: If it is neither a string nor a `torch.device`.
        ValueError: If the string names no device, or one on which nothing can be computed here.
        RuntimeError: If this process was forked from one that has computed with several threads.
    """
    if not isinstance(device, str | torch.device):
        raise TypeError(f"device={device!r} is not a PyTorch device; use 'auto' or 'cpu'")
    if device == "auto":
        is_present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        device = next((name for name, present in is_present.items() if present), "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a PyTorch device; use 'auto' or 'cpu'"
        ) from error
    if resolved.type == "cpu":
        _refuse_lost_threads()
    elif not _can_compute(resolved):
        raise ValueError(
            f"device={str(device)!r} is not available on this machine; use 'auto' or 'cpu'"
        )
    return resolved


def _can_compute(device: torch.device) -> bool:
    """Whether a device other than the CPU is present and holds values, unlike ``"meta"``."""
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    try:
        return torch.ones(1, device=device).item() == 1
    except Exception:  # of many kinds, also from the libraries of the device
        return False


def _refuse_lost_threads() -> None:
    """Refuse to compute with several threads if they were lost: a fork does not copy them."""
    global _threads_of
    if torch.get_num_threads() == 1:
        return
    if _threads_of is None:
        _threads_of = os.getpid()
    if _threads_of != os.getpid():
        raise RuntimeError(
            "this process was forked from one in which PyTorch has computed with several threads, "
            "and would wait for them forever; start it with multiprocessing.get_context('spawn'), "
            "or call torch.set_num_threads(1) in it"
        )


def compute_in_threads(count: int) -> None:
    """Let PyTorch use so many threads for what the calling thread computes.

    By default, OpenMP keeps a pool of threads for every thread that computes. That costs more than
    it saves for one image, and with more threads than processors, those that the batches need are
    slow to wake up.

    Args:
        count: The calling thread included.
    """
    torch.get_num_threads()  # when a thread first asks, PyTorch sets its own number
    _thread_pools().limit(limits=count, user_api="openmp")  # of this thread; `torch`'s is global


def reader_pool(count: int) -> ThreadPoolExecutor:
    """Return threads that prepare an image each, and leave the other processors to the model.

    Args:
        count: Number of threads.
    """
    _thread_pools()  # found here, once, rather than by each of the threads
    return ThreadPoolExecutor(count, "medzoo-read", compute_in_threads, (1,))


@cache
def _thread_pools() -> ThreadpoolController:
    """Return what controls the thread pools of all libraries, which takes milliseconds to find."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 arithmetic is faster than float32 on this device.

    On CPUs without AMX or AVX512-BF16 instructions PyTorch emulates bfloat16, which is slower than
    float32. Intel's processors run AVX512-BF16 at half the rate of float32, and only their AMX is
    faster; AMD's run it at twice that rate. So instruction sets and maker decide
    (``benchmarks/studies/precision.py`` measures what they mean). The answer is a property of the
    machine, never of a measurement, so that a resumed run computes as the interrupted one did.

    Args:
        device: The device in question.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        has_avx512 = torch.cpu._is_avx512_bf16_supported()
        return torch.cpu._is_amx_tile_supported() or (has_avx512 and _is_made_by_amd())
    return False


@cache
def _is_made_by_amd() -> bool:
    """Return whether the processor says so, on Linux and Windows."""
    about = Path("/proc/cpuinfo")
    return "AuthenticAMD" in (about.read_text() if about.exists() else platform.processor())


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
