"""What the published models answer for validation and test images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import NamedTrial
from medzoo.datasets import Dataset, Split
from medzoo.inference import probabilities, split_logits
from medzoo.weights import weights_index


def trials() -> list[NamedTrial]:
    """Return one trial per published classifier."""
    return [NamedTrial(name) for name, entry in weights_index().items() if entry.metrics]


def answers(name: str, source: Source) -> tuple[Dataset, Tensor, Tensor]:
    """Run a published model over the validation and the test split of its data set.

    Args:
        name: Name of the model.
        source: Source of the images.

    Returns:
        The data set, and calibrated probabilities of both splits, float64 (N, K).
    """
    data = source.load(weights_index()[name].tag)
    model = medzoo.create_model(name, pretrained=True)
    with one_thread():
        return data, _probabilities(model, data.val), _probabilities(model, data.test)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute in one thread, so that the same machine gives the same logits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _probabilities(model: torch.nn.Module, split: Split) -> Tensor:
    return probabilities(split_logits(model, split, device="cpu"), split.info.task)
