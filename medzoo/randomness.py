"""Random numbers that follow from a seed, also while other threads draw some.

All threads of a process share PyTorch's generators. Where an operation takes a generator of its
own, it gets one here (`own_generator`). Dropout takes none, so trainings take turns with the
shared one (`reserve_generator`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_RESERVED = threading.RLock()


@contextmanager
def reserve_generator(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's shared generators, and keep others who reserve them waiting.

    Afterwards they are in the state in which they were, as if nothing had been drawn. Code that
    draws from them without reserving them is not kept from it; see `generator_state`.

    Args:
        seed: What `torch.manual_seed` takes.
        device: Where a model computes; its generator and the CPU's are restored.
    """
    devices = [device] if device.type == "cuda" else []
    with _RESERVED, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def generator_state(device: torch.device) -> bytes:
    """Return the state of the shared generator that dropout on a device draws from.

    If it changes where nothing is drawn, another thread has used the generator. Reading it does
    not wait for the device.

    Args:
        device: Where a model computes.
    """
    is_cuda = device.type == "cuda"
    state = torch.cuda.get_rng_state(device) if is_cuda else torch.get_rng_state()
    return np.asarray(state).tobytes()


@contextmanager
def own_generator(seed: int) -> Iterator[None]:
    """Draw as after `torch.manual_seed(seed)`, but neither use nor change the shared generators.

    This is for initialising models: it makes every operation slower, and holds for this thread
    alone. Dropout and gradient checkpointing need the shared generators.

    Args:
        seed: What `torch.manual_seed` takes.
    """
    with _OwnGenerators(seed):
        yield


class _OwnGenerators(TorchDispatchMode):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = cache(lambda device: torch.Generator(device).manual_seed(seed))

    def __torch_dispatch__(
        self,
        operation: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in operation.tags and given.get("generator") is None:
            tensors = [one for one in args if isinstance(one, Tensor)]
            device = torch.device(tensors[0].device if tensors else given.get("device") or "cpu")
            seeded = _with_generator(operation)
            if seeded is not None and device.type != "meta":
                return seeded(*args, **given | {"generator": self.generator(device)})
        return operation(*args, **given)


@cache
def _with_generator(operation: Any) -> Any:
    """Return the form of an operation that takes a generator, if there is one."""
    packet = operation.overloadpacket
    forms = [operation, *(getattr(packet, name) for name in packet.overloads())]
    names = [{argument.name for argument in form._schema.arguments} for form in forms]
    wanted = names[0] | {"generator"}
    return next((form for form, has in zip(forms, names, strict=True) if has == wanted), None)
