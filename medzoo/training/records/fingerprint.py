"""What a resumed run has to share with the one that was interrupted, as digests."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset, Split
from medzoo.datasets.storage import iter_chunks
from medzoo.spec import find_spec
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.records.lineage import architecture_name

_SAMPLE = 1 << 26  # bytes of images that count: all of most sets, evenly spaced ones of large ones
_CHUNK = 1 << 22  # bytes at once, for memory-mapped sets


class HasFingerprint(Protocol):
    """Something that has a fingerprint of its own: a teacher."""

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON-safe values that distinguish it from others."""


def run_fingerprint(
    model: nn.Module,
    recipe: Recipe,
    data: Dataset,
    high_res: Dataset | None,
    teacher: HasFingerprint | None,
    loss: Callable[..., Tensor] | None,
) -> dict[str, Any]:
    """Return all that decides a run, as JSON-safe values.

    Args:
        model: What is trained; its weights do not count, since they change.
        recipe: How it is trained.
        data: Its training and validation images.
        high_res: The larger training images, if any.
        teacher: The teacher, if any.
        loss: The loss that replaces the task's, if any.
    """
    return {
        "architecture": architecture_name(model),
        "layers": digest_of_layers(model),
        "recipe": recipe.to_dict(),
        "high_res": high_res and digest_of_split(high_res.train),
        "teacher": teacher and teacher.fingerprint(),
        "loss": None if loss is None else name_of_loss(loss),
        "data": {
            "name": data.info.name,
            "task": data.info.task,
            "classes": list(data.info.classes),
            "md5": data.provenance.md5,
            "train": digest_of_split(data.train),
            "val": digest_of_split(data.val),
        },
    }


def name_of_loss(loss: Callable[..., Tensor]) -> str:
    """Return a text that distinguishes losses: a function's name, or a module's settings.

    Args:
        loss: A function, a module, or any other callable.
    """
    name = getattr(loss, "__qualname__", None) or without_addresses(repr(loss))
    return f"{name} {digest_of_weights(loss)}" if isinstance(loss, nn.Module) else name


def digest_of_split(split: Split) -> str:
    """Return a digest of a split; other labels, images or another order of them change it.

    Args:
        split: Labels and images. All labels count; of more than 64 MB of images, evenly spaced
            ones.
    """
    images = split.images[:: max(1, math.ceil(split.images.nbytes / _SAMPLE))]
    # Channels last, as they lie in memory, so that nothing is copied.
    chunks = iter_chunks(images.permute(0, 2, 3, 1), max(1, _CHUNK // images[0].nbytes))
    return digest_of(chain([split.labels], chunks), list(split.images.shape))


def digest_of_weights(model: nn.Module) -> str:
    """Return a digest of a module's weights and temperature.

    Args:
        model: Any module.
    """
    state = {k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)}
    spec = find_spec(model)
    return digest_of(state.values(), [spec.temperature if spec else 1.0, *state])


def digest_of_layers(model: nn.Module) -> str:
    """Return a digest of a module's layers; another width, depth or dropout changes it.

    Args:
        model: Any module; its weights do not count.
    """
    shapes = {name: list(value.shape) for name, value in model.named_parameters()}
    return digest_of([], [without_addresses(str(model)), shapes])


def without_addresses(text: str) -> str:
    """Remove the addresses of objects, which differ between processes.

    Args:
        text: What `repr` returned.
    """
    return re.sub(r" at 0x\w+", "", text)


def digest_of(tensors: Iterable[Tensor], about: object) -> str:
    """Return a digest of tensors and what is said about them.

    Args:
        tensors: Their values count, in this order; dtypes and shapes do not.
        about: JSON-safe values.
    """
    digest = hashlib.blake2b(json.dumps(about).encode(), digest_size=16)
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().data)  # bytes: NumPy knows no bfloat16
    return digest.hexdigest()
