"""Which models are served: finding, naming and loading them, and running one of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from medzoo.deployment import compile as compile_model
from medzoo.deployment import load_model
from medzoo.device import resolve_device
from medzoo.inference import TTA, Ensemble, Model, probabilities
from medzoo.inference.conformal import conformal_for, named_sets
from medzoo.inference.ood_scores import run_with_scores
from medzoo.inference.options import Settings
from medzoo.prediction import Explanation, explain
from medzoo.prediction.predict import check_classifier
from medzoo.spec import ModelSpec, spec_of
from medzoo.transforms import prepare_batch
from medzoo.web import describe_model

Source: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Model"
"""One model: a name or a file as for `medzoo.predict`, several of them for an ensemble, or a model.
In text, ``A+B`` is an ensemble, and ``NAME=MODEL`` is served under another name."""
Sources: TypeAlias = "Source | Iterable[Source] | Mapping[str, Source]"
"""Models, or a mapping from the names by which they are served to models."""

_LONGEST = 200  # characters of a name
_TIMED, _RUNS = 4, 4  # images, and how often they run
_OTHER_WORK = 0.0015  # seconds of a processor for receiving, decoding and answering an image


class Answer(NamedTuple):
    """What a model says about one image: calibrated logits and probabilities, float64 (K,).

    The out-of-distribution score is None if the model has no detector, and the classes of the
    prediction set if it has no thresholds, or they are not for these views.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    ood_score: float | None = None
    prediction_set: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A loaded model.

    Attributes:
        name: What it is called in addresses.
        model: What runs.
        network: What is explained: the model, or what it was compiled from.
        description: See `medzoo.web.describe_model`.
        device: Where it computes.
        unexplained: Why it cannot be explained; None if it can.
    """

    name: str
    model: Model
    network: Model
    description: Mapping[str, Any]
    device: torch.device
    unexplained: str | None

    @cached_property
    def threads(self) -> int:
        """In how many threads PyTorch should run batches.

        Its share of the processors: those are also needed to decode images and for HTTP, which is
        most of the work if the model is small. Fewer threads also wait less for each other.
        """
        available = torch.get_num_threads()
        if available == 1 or not self.is_module or self.device.type != "cpu":
            return available
        images = torch.zeros(_TIMED, *self.spec.input.shape, dtype=torch.uint8)
        times = [time.thread_time()]  # whatever else the machine does
        with threadpool_limits(1, user_api="openmp"):
            for _ in range(_RUNS):
                self.run(images)
                times.append(time.thread_time())
        seconds = min(end - start for start, end in pairwise(times)) / _TIMED
        return max(1, round(available * seconds / (seconds + _OTHER_WORK)))

    @property
    def is_module(self) -> bool:
        """Whether PyTorch runs it."""
        return isinstance(self.model, nn.Module)

    @cached_property
    def spec(self) -> ModelSpec:
        """What the model is."""
        return spec_of(self.model)

    def run(self, images: Tensor, tta: TTA = "none") -> list[Answer]:
        """Run a batch as `medzoo.predict` does.

        Args:
            images: uint8 (N, C, size, size).
            tta: Views to average.
        """
        batch = prepare_batch(images, self.spec.input)
        settings = Settings(device=self.device, tta=tta)
        logits, scores = run_with_scores(self.model, [batch], self.spec, settings)
        rows = probabilities(logits, self.spec.task)
        conformal = conformal_for(self.spec, settings)
        sets = named_sets(conformal, rows, self.spec) if conformal else [None] * len(rows)
        return list(map(Answer, logits.numpy(), rows.numpy(), scores, sets))

    def explain(self, image: Tensor) -> Explanation:
        """Explain the most probable class of one image.

        Args:
            image: uint8 (C, size, size).
        """
        return explain(self.network, image)


def load_models(
    models: Sources, *, compile: bool = False, device: str | torch.device = "auto"
) -> dict[str, ServedModel]:
    """Load models, and run each of them once, so that later requests find them ready.

    Args:
        models: The models.
        compile: Whether to run them in ONNX Runtime; see `medzoo.compile`.
        device: Where they compute.

    Returns:
        The models by name.

    Raises:
        ImportError: If an extra is missing.
        TypeError: If something is not a model, or a model has no name.
        ValueError: If there are no models, two have the same name, a name cannot be part of an
            address, or a model has no classifier or gives no logits.
        WeightsError: If weights cannot be found or read.
    """
    resolved = resolve_device("cpu" if compile else device)
    named = list(_named(models))
    if not named:
        raise ValueError("there are no models to serve; give at least one")
    names = [name for name, _ in named]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(
            f"two models are called {twice!r}; give them names: a mapping in Python, "
            f"NAME={twice} on the command line"
        )
    # In a thread that ends: OpenMP keeps a pool of threads for every thread that computes, and with
    # more threads than processors all of them are slow to wake up. The batches need the only pool.
    with ThreadPoolExecutor(1, "medzoo-load") as loader:
        load = partial(_load, compile=compile, device=resolved)
        return {name: loader.submit(load, name, source).result() for name, source in named}


def _named(models: Sources) -> Iterator[tuple[str, Source]]:
    if isinstance(models, Mapping):
        yield from ((_checked(name), source) for name, source in models.items())
        return
    single = isinstance(models, str | os.PathLike) or callable(models)
    sources: Any = [models] if single else models
    for source in sources:
        name, equals, rest = str(source).partition("=")
        if isinstance(source, str) and equals and not Path(source).exists():
            yield _checked(name), rest
        elif members := _members(source):
            yield _checked("+".join(map(_name_of, members))), source
        else:
            raise TypeError(
                f"a {type(source).__name__} has no name by which it could be served; give a "
                "mapping: {'name': model}"
            )


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a model is {name!r:.80}, expected text")
    if not name or "/" in name or not name.isprintable() or len(name) > _LONGEST:
        raise ValueError(
            f"a model cannot be called {name!r:.300}, as its name is part of an address; use up "
            f"to {_LONGEST} printable characters without '/'"
        )
    return name


def _name_of(source: str) -> str:
    """Name a model after its checkpoint, its file, or its repository on the Hub."""
    if Path(source).suffix in (".safetensors", ".onnx"):
        return Path(source).stem
    return source.rpartition("/")[2].partition("@")[0]


def _members(source: object) -> list[str]:
    """Return the names and files that a source consists of; none for a model."""
    if isinstance(source, list | tuple):
        return [os.fspath(one) for one in source]
    if not isinstance(source, str | os.PathLike):
        return []
    text = os.fspath(source)
    return [text] if Path(text).exists() else text.split("+")


def _load(name: str, source: Source, compile: bool, device: torch.device) -> ServedModel:
    members = _members(source)
    model: Any = (
        Ensemble(members) if len(members) > 1 else load_model(members[0] if members else source)
    )
    network = model
    check_classifier(spec := spec_of(model))
    description = describe_model(name, model, members)
    if isinstance(model, nn.Module):
        # Or each call would copy the weights, as batches are channels-last.
        model.eval().to(device).to(memory_format=torch.channels_last)
        if compile:
            model = compile_model(model)
    blank = torch.zeros(1, *spec.input.shape, dtype=torch.uint8)
    served = ServedModel(name, model, network, description, device, _unexplained(network, blank[0]))
    served.run(blank)
    return served


def _unexplained(network: Model, blank: Tensor) -> str | None:
    try:
        explain(network, blank)
    except (AttributeError, ImportError, ValueError) as error:
        return str(error)
    return None
