"""Compiled models in the cache folder, each under a hash of everything that it depends on."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from torch import Tensor, nn
from torch.fx import GraphModule

from medzoo.cache import cache_dir, locked
from medzoo.deployment.description import Description
from medzoo.deployment.quantise import needs_reduced_range
from medzoo.files import sha256_of, write_atomically
from medzoo.models import Classifier
from medzoo.weights import OODDetector

_KNOWN = {"medzoo", "timm", "torch", "torchvision"}
_PACKAGES = ("medzoo", "onnx", "onnxruntime", "onnxscript", "timm", "torch", "torchvision")
_FILES = 32
"""Maximum number of files; the least recently used ones are removed."""
_DIGEST = 64


def cache_path(
    model: nn.Module,
    description: Description,
    images: Tensor | None = None,
    graph: bytes | None = None,
) -> Path | None:
    """Return the file in the cache for a compiled model, whether it exists or not.

    Args:
        model: The model; its weights, its layers and their code are hashed.
        description: The description that the file will carry.
        images: Calibration images, uint8 (N, C, H, W), or None.
        graph: The file that is quantised, or None.

    Returns:
        The path; None for a model with layers that are not from medzoo, timm or PyTorch, or that
        run code of their own, since no version number shows when this code changes.
    """
    modules = {type(module).__module__ for module in model.modules()}
    if {name.partition(".")[0] for name in modules} - _KNOWN:
        return None
    if any(map(_has_own_code, model.modules())):
        return None
    digest = hashlib.sha256()
    facts = {
        "description": description.to_dict(),
        "layers": repr(model),
        "code": {name: sha256_of(str(sys.modules[name].__file__)) for name in sorted(modules)},
        "versions": {name: _version(name) for name in _PACKAGES},
        "reduced_range": needs_reduced_range(),
        "graph": graph and hashlib.sha256(graph).hexdigest(),
        "ood_detectors": [one.to_dict() for one in _detectors(model)],
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    tensors = {**dict(model.named_buffers()), **model.state_dict()}
    if images is not None:
        tensors["calibration images"] = images
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(memoryview(tensor.numpy()).cast("B") if tensor.numel() else b"")
    return cache_dir() / "compiled" / digest.hexdigest()


def _has_own_code(module: nn.Module) -> bool:
    """Return whether a module runs code that is not its class's."""
    return bool(
        isinstance(module, GraphModule)
        or module._forward_hooks
        or module._forward_pre_hooks
        or any(callable(getattr(type(module), name, None)) for name in vars(module))
    )


def _detectors(model: nn.Module) -> Iterator[OODDetector]:
    for module in model.modules():
        if isinstance(module, Classifier) and module.ood_detector is not None:
            yield module.ood_detector


def cached(slot: Path | None, make: Callable[[], bytes]) -> bytes:
    """Return the content of a file in the cache; make and store it if it is not there.

    A file begins with the sha256 of the rest. A damaged one is made again. If the cache cannot be
    written, the result is not stored.

    Args:
        slot: The file, or None not to use the cache.
        make: Makes the content.
    """
    if slot is None:
        return make()
    content = _read(slot)
    if content is not None:
        return content
    with locked(slot):
        content = _read(slot)  # another process may have made it meanwhile
        if content is None:
            content = make()
            with suppress(OSError):
                write_atomically(slot, hashlib.sha256(content).hexdigest().encode() + content)
                _forget_oldest(slot.parent)
    return content


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # exporters are not needed if the file is in the cache
        return None


def _read(slot: Path) -> bytes | None:
    try:
        stored = slot.read_bytes()
    except OSError:
        return None
    content = stored[_DIGEST:]
    if hashlib.sha256(content).hexdigest().encode() != stored[:_DIGEST]:
        return None
    with suppress(OSError):
        slot.touch()
    return content


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_FILES:]:
        path.unlink(missing_ok=True)
