"""Evaluation mode while a model infers, also if several threads use the same layers at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from medzoo.inference.model import Model


@contextmanager
def for_inference(model: Model, device: torch.device) -> Iterator[None]:
    """Keep a module on a device in evaluation mode; leave other callables alone.

    Any number of threads may do so for the same module, or for modules that share layers (an
    ensemble and one of its members, for example): the first one puts the layers into evaluation
    mode, and the last one restores their modes and device. Training in the meantime is not
    supported, because it needs other modes than inference.

    Args:
        model: Whatever maps images to logits.
        device: Where it is to compute.

    Raises:
        ValueError: If the module has tensors without values, on the device ``"meta"``.
        RuntimeError: If the module would have to be moved to the device while another call uses
            some of its layers where they are.
    """
    if not isinstance(model, nn.Module):
        yield
        return
    # The fast path, without a lock: nothing has to change, and no other call has changed
    # anything that it will restore. The module is announced before that is looked up, and a call
    # that moves modules looks for announcements after registering its own: one sees the other.
    call = object()
    _unregistered[call] = model
    try:
        changes = _changes
        if not _layers and is_ready(model, device) and not _layers and changes == _changes:
            yield
            return
    finally:
        del _unregistered[call]
    held = _enter(model, device)
    try:
        yield
    finally:
        _leave(held)


def is_ready(model: nn.Module, device: torch.device) -> bool:
    """Return whether nothing has to change: all modes are evaluation, all tensors on the device.

    A plain walk, because for one image `Module.to`, `eval` and `modules` together take longer
    than many a network.

    Args:
        model: The module.
        device: Where it is to compute.
    """
    device = torch.empty(0, device=device).device  # with its index: "cuda" means one of them
    waiting = [model]
    while waiting:
        module = waiting.pop()
        state = module.__dict__  # attributes of a module are looked up slowly
        if isinstance(module, torch.jit.ScriptModule):  # its mode and tensors are kept in C++
            tensors = [*module.parameters(), *module.buffers()]
            if any(map(_mode, module.modules())) or any(t.device != device for t in tensors):
                return False
            continue
        # torch.compile's module has no mode of its own; that of the original counts.
        if state.get("training"):
            return False
        for group in (state["_parameters"], state["_buffers"]):
            for tensor in group.values():
                if tensor is not None and tensor.device != device:
                    return False
        waiting += [child for child in state["_modules"].values() if child is not None]
    return True


@dataclass(eq=False)
class _Move:
    """A module that was moved to another device, and has to go back.

    Attributes:
        model: The module.
        home: The device that it came from.
        layers: All layers of the module.
    """

    model: nn.Module
    home: torch.device
    layers: list[_Layer] = field(default_factory=list)


@dataclass(eq=False)
class _Layer:
    """A module in use, itself or as part of others.

    Attributes:
        module: The module. As long as it is held here, no other one has its `id`.
        training: Its mode before the first call.
        move: The move that it was part of, if any.
        calls: How many calls use it.
    """

    module: nn.Module
    training: bool
    move: _Move | None = None
    calls: int = 0


_lock = threading.Lock()
_layers: dict[int, _Layer] = {}  # by the module's id
_unregistered: dict[object, nn.Module] = {}  # modules in the fast path, by call
_changes = 0  # how often modes or devices were changed or restored


def _enter(model: nn.Module, device: torch.device) -> list[_Layer]:
    """Put a module into evaluation mode on a device; return its layers, for `_leave`."""
    global _changes
    with _lock:
        modules = list(model.modules())
        shared = [module for module in modules if id(module) in _layers]
        layers = []
        for module in modules:
            # Each has its own mode: frozen batch norms may be in another than their parent.
            layer = _layers.setdefault(id(module), _Layer(module, _mode(module)))
            layer.calls += 1
            layers.append(layer)
        _changes += 1
        try:
            home = _device_to_leave(model, device)
            if home is not None:
                _refuse_if_used(model, modules, shared, device, home)
                move = _Move(model, home, layers)
                for layer in layers:
                    layer.move = move
                model.to(device)
            if any(_mode(module) for module in modules):
                model.eval()
        except BaseException:
            _release(layers)
            raise
        return layers


def _leave(layers: list[_Layer]) -> None:
    """End a call's use of layers."""
    with _lock:
        _release(layers)


def _release(layers: list[_Layer]) -> None:
    """Restore the layers that no other call uses. The lock must be held."""
    global _changes
    _changes += 1
    for layer in layers:
        layer.calls -= 1
    for layer in layers:
        # What was moved together goes back together.
        together = [layer] if layer.move is None else layer.move.layers
        if id(layer.module) not in _layers or any(other.calls for other in together):
            continue
        if layer.move is not None:
            layer.move.model.to(layer.move.home)
        for other in together:
            if _mode(other.module) != other.training:
                other.module.training = other.training
            del _layers[id(other.module)]


def _mode(module: nn.Module) -> bool:
    """Return whether a module is in training mode; frozen TorchScript has no mode."""
    return bool(getattr(module, "training", False))


def _device_to_leave(model: nn.Module, device: torch.device) -> torch.device | None:
    """Return where a module is now; None if all of it is on the device."""
    device = torch.empty(0, device=device).device
    tensors = [*model.parameters(), *model.buffers()]
    if all(tensor.device == device for tensor in tensors):
        return None
    if any(tensor.is_meta for tensor in tensors):
        raise ValueError(
            f"a {type(model).__name__} has tensors on the device 'meta', without values; load "
            "weights into it: model.load_state_dict(..., assign=True)"
        )
    return tensors[0].device


def _refuse_if_used(
    model: nn.Module,
    modules: list[nn.Module],
    shared: list[nn.Module],
    device: torch.device,
    home: torch.device,
) -> None:
    """Refuse to move a module of which another call uses a part."""
    own = set(map(id, modules))
    others = list(_unregistered.values())
    if shared or any(id(module) in own for other in others for module in other.modules()):
        raise RuntimeError(
            f"cannot move a {type(model).__name__} from {home} to {device} while another call "
            f"uses it; give device={str(home)!r}, or move it before all calls: model.to({device})"
        )
