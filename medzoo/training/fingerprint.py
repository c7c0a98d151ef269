"""What a resumed run shares with the one that was interrupted, told by digests."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset, Split
from medzoo.datasets.storage.mmap import release_pages
from medzoo.spec import find_spec
from medzoo.training.recipe import Recipe

_SAMPLE = 1 << 26  # bytes of images that count: all of most sets, evenly spaced ones of large ones
_CHUNK = 1 << 22  # bytes at once, for memory-mapped sets


class HasIdentity(Protocol):
    """Whatever tells what it is; a teacher."""

    identity: dict[str, Any]


def run_fingerprint(
    model: nn.Module,
    recipe: Recipe,
    data: Dataset,
    high_res: Dataset | None,
    teacher: HasIdentity | None,
) -> dict[str, Any]:
    """Return, JSON-safe, all that decides a run.

    Args:
        model: What is trained; its weights do not count, since they change.
        recipe: How.
        data: On which training and validation images.
        high_res: The larger training images, if any.
        teacher: The teacher, if any.
    """
    spec = find_spec(model)
    return {
        "architecture": (spec and spec.architecture) or type(model).__name__,
        "layers": digest_of_layers(model),
        "recipe": recipe.to_dict(),
        "high_res": high_res and digest_of_split(high_res.train),
        "teacher": teacher and teacher.identity,
        "data": {
            "name": data.info.name,
            "md5": data.provenance.md5,
            "train": digest_of_split(data.train),
            "val": digest_of_split(data.val),
        },
    }


def digest_of_split(split: Split) -> str:
    """Return a short text that other labels, images or another order of them would change.

    Args:
        split: Labels and images. All labels count; of more than 64 MB of images, evenly spaced ones.
    """
    images = split.images[:: max(1, math.ceil(split.images.nbytes / _SAMPLE))]
    # Channels last, as they lie in memory, so that nothing is copied.
    chunks = images.permute(0, 2, 3, 1).split(max(1, _CHUNK // images[0].nbytes))
    return _digest(chain([split.labels], _read(chunks)), list(split.images.shape))


def digest_of_weights(model: nn.Module) -> str:
    """Return a short text that other weights, or another temperature, would change.

    Args:
        model: Any module.
    """
    state = {k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)}
    return _digest(
        state.values(), [spec.temperature if (spec := find_spec(model)) else 1.0, *state]
    )


def digest_of_layers(model: nn.Module) -> str:
    """Return a short text that another width, depth, stride or dropout would change.

    Args:
        model: Any module; its weights do not count.
    """
    shapes = {name: list(value.shape) for name, value in model.named_parameters()}
    layers = re.sub(r" at 0x\w+", "", str(model))  # addresses of functions differ between processes
    return _digest([], [layers, shapes])


def _read(chunks: tuple[Tensor, ...]) -> Iterator[Tensor]:
    for chunk in chunks:
        yield chunk
        release_pages(chunk.nbytes)


def _digest(tensors: Iterable[Tensor], about: object) -> str:
    digest = hashlib.blake2b(json.dumps(about).encode(), digest_size=16)
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().data)  # bytes: NumPy knows no bfloat16
    return digest.hexdigest()
