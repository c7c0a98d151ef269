"""Several processes that work together, as `torchrun` starts them.

Nothing here imports torch until there is more than one process: the command line asks for its
rank before it knows whether it will compute at all.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Value = TypeVar("Value")

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_opened = 0  # groups that this process has opened


def is_torchrun() -> bool:
    """Whether torchrun, or something that sets the same variables, started this process."""
    return all(name in os.environ for name in _VARIABLES)


def is_initialized() -> bool:
    """Whether the processes are connected, by `process_group` or by the user's own call."""
    loaded = sys.modules.get("torch.distributed")
    return loaded is not None and loaded.is_available() and loaded.is_initialized()


def rank() -> int:
    """Number of this process, from 0; 0 if it is the only one."""
    return _of_group("get_rank", "RANK", 0)


def world_size() -> int:
    """Number of processes; 1 if this is the only one."""
    return _of_group("get_world_size", "WORLD_SIZE", 1)


def _of_group(function: str, variable: str, alone: int) -> int:
    if is_initialized():
        return int(getattr(sys.modules["torch.distributed"], function)())
    return int(os.environ[variable]) if is_torchrun() else alone


def device_of_process(device: str | torch.device = "auto") -> torch.device:
    """Choose this process's device: with several processes, each has its own CUDA device.

    Args:
        device: As for `medzoo.device.resolve_device`; with several processes ``"auto"`` is CUDA or
            the CPU, and CUDA without an index is the device of the process's local rank.

    Raises:
        ValueError: If there is no such device, or several processes cannot compute on it together.
    """
    import torch

    from medzoo.device import resolve_device

    if world_size() == 1:
        return resolve_device(device)
    if device == "auto" and not torch.cuda.is_available():
        device = "cpu"
    resolved = resolve_device(device)
    if resolved.type not in ("cpu", "cuda"):
        raise ValueError(f"device={str(device)!r} takes one process only; use 'cpu' or 'cuda'")
    if str(resolved) != "cuda":  # the CPU, or a device with its index
        return resolved
    # If the group was not opened under torchrun, the device was chosen where it was opened.
    index = int(os.environ["LOCAL_RANK"]) if is_torchrun() else torch.cuda.current_device()
    if index >= torch.cuda.device_count():
        raise ValueError(
            f"process {index} of this machine has no CUDA device, there are "
            f"{torch.cuda.device_count()}; start as many processes (--nproc-per-node) as devices"
        )
    return torch.device("cuda", index)


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Connect the processes that torchrun started, for the time of a `with` block.

    Does nothing if there is one process only. A group that is open already is used, and left open.

    Args:
        device: Where this process computes: NCCL connects CUDA devices, Gloo all others.
    """
    if is_initialized() or world_size() == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    if device.type == "cuda":
        torch.cuda.set_device(device)
    global _opened
    store, number, count = next(dist.rendezvous("env://"))
    # A key space for each group: in a common one, the second finds the addresses of the first.
    store = dist.PrefixStore(f"medzoo/{_opened}", store)
    _opened += 1
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=count)
    try:
        yield
    except BaseException:
        # After a failure NCCL would wait here for the others, which wait for this process. Torchrun
        # stops them when this process ends.
        if backend == "gloo":
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def shard(count: int) -> slice:
    """This process's part of `count` things in a row; the parts of all follow each other.

    Args:
        count: How many there are; if they cannot be divided evenly, the last parts are smaller, or
            empty.
    """
    if not is_initialized():
        return slice(0, count)
    each = -(-count // world_size())
    start = min(rank() * each, count)
    return slice(start, min(start + each, count))


def gather_rows(rows: Tensor, part: slice, count: int) -> Tensor:
    """Put the rows of all processes together, in order; every process gets the same.

    Args:
        rows: This process's rows, (N, K), on any device.
        part: Where they belong.
        count: Rows in all.

    Returns:
        (count, K), on the device of `rows`.
    """
    if not is_initialized():
        return rows
    whole = rows.new_zeros(count, *rows.shape[1:])
    whole[part] = rows
    # Every row is one process's and zero for all others, so the sum is exact.
    return _reduced(whole, "SUM")


def process_mean(value: Tensor) -> Tensor:
    """Average a value over the processes; every process gets the same.

    Args:
        value: Any floating-point tensor.
    """
    return _reduced(value, "SUM") / world_size() if is_initialized() else value


def all_ranks_equal(value: int) -> bool:
    """Whether all processes have the same whole number.

    Args:
        value: This process's.
    """
    if not is_initialized():
        return True
    import torch

    least, negative_most = _reduced(torch.tensor([value, -value]), "MIN").tolist()
    return least == -negative_most


def broadcast(value: Value) -> Value:
    """Return process 0's value, in every process.

    Args:
        value: This process's; anything that can be pickled.
    """
    if not is_initialized():
        return value
    import torch.distributed as dist

    values = [value]
    dist.broadcast_object_list(values, src=0, device=_collective_device())
    return values[0]


def all_reduce_mean(tensors: Sequence[Tensor]) -> None:
    """Average tensors over the processes, in place and all in one exchange.

    Args:
        tensors: Floating-point tensors of one dtype and device; as many, and of the same shapes,
            in every process.
    """
    if not is_initialized() or not tensors:
        return
    import torch

    flat = process_mean(torch.cat([tensor.detach().flatten() for tensor in tensors]))
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.detach().copy_(part.view_as(tensor))


def average_buffers(*modules: nn.Module) -> None:
    """Average floating-point buffers, batch norm's running statistics, over the processes.

    They, and a moving average of them, are sums in which every step has a fixed weight. So doing
    this once, after many steps, gives what doing it at every step would.

    Args:
        *modules: The same in every process, but for the buffers' values.
    """
    buffers = [buffer for module in modules for buffer in module.buffers()]
    all_reduce_mean([buffer for buffer in buffers if buffer.is_floating_point()])


def wait_for_all() -> None:
    """Return when every process has come here."""
    all_ranks_equal(0)


def data_parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """Wrap a model so that the gradients of all processes are averaged.

    Its buffers are left to each process, since exchanging them at every step costs time; they are
    averaged when they need to be equal (`average_buffers`).

    Args:
        model: The model, on `device`; its tensors are overwritten with those of process 0, once.
        device: Where this process computes.

    Returns:
        The wrapped model, which shares its parameters; or, without other processes, the model.
    """
    if not is_initialized():
        return model
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    for buffer in model.buffers():
        held = buffer.detach().to(_collective_device()).contiguous()
        dist.broadcast(held, src=0)
        buffer.detach().copy_(held)
    options: dict[str, Any] = {"gradient_as_bucket_view": True}
    if device.type == "cuda":
        options["device_ids"] = [device]
    # Later versions of PyTorch use another name.
    known = inspect.signature(DistributedDataParallel).parameters
    options["forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"] = (
        False
    )
    return DistributedDataParallel(model, **options)


def _reduced(value: Tensor, operation: str) -> Tensor:
    import torch.distributed as dist

    held = value.detach().to(_collective_device(), copy=True)
    dist.all_reduce(held, getattr(dist.ReduceOp, operation))
    return held.to(value.device)


def _collective_device() -> torch.device:
    """Return the device whose tensors the group can exchange."""
    import torch
    import torch.distributed as dist

    if "nccl" in dist.get_backend():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
