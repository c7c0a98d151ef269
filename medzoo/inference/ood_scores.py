"""Scoring, while a model runs, how unfamiliar the images are: of networks, wrappers, ensembles."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from typing import Any, Protocol, TypeGuard, TypeVar

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from medzoo.inference.ensemble import Ensemble
from medzoo.inference.model import Model
from medzoo.inference.options import Settings
from medzoo.inference.run import run_batches
from medzoo.inference.tta import TTA
from medzoo.models import Classifier
from medzoo.spec import ModelSpec, find_spec, network_of, spec_of

M = TypeVar("M", bound=nn.Module)
# What a wrapper of another kind does to images and logits is not known; the network in one that
# was compiled would be run without what the compiler gains.
_PASSING_ON = (nn.DataParallel, DistributedDataParallel, AveragedModel, ModelEmaV3)
_VIEWS: dict[TTA, int] = {"none": 1, "flip": 2, "dihedral": 8}


class ScoresItself(Protocol):
    """A model outside PyTorch that computes logits and out-of-distribution scores together."""

    spec: ModelSpec

    @property
    def has_ood_scores(self) -> bool:
        """Whether it knows the scores."""
        ...

    def with_ood_scores(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map a batch (N, C, H, W) to logits (N, K) and out-of-distribution scores (N,)."""
        ...


def scores_itself(model: object) -> TypeGuard[ScoresItself]:
    """Whether a model outside PyTorch computes out-of-distribution scores, and has a detector.

    Not an `isinstance` of the protocol, which is slow for what every `predict` of one image does.

    Args:
        model: Any object.
    """
    has_members = hasattr(model, "with_ood_scores") and hasattr(model, "spec")
    return has_members and bool(getattr(model, "has_ood_scores", False))


class Recorder(nn.Module):
    """A network that notes the features of each batch while it computes the logits.

    The features are the means over positions of the maps of timm's `forward_intermediates`; the
    logits are those of the network itself, since these maps are computed on the way to them.

    Args:
        network: A classifier with timm's interface.
    """

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network
        self.spec = network.spec
        self.training = network.training  # or it would count as not ready for inference
        self.features: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch (N, C, H, W) to logits (N, K)."""
        network = self.network
        final, maps = network.forward_intermediates(x)  # type: ignore[operator]
        self.features.append(torch.cat([one.mean((2, 3)) for one in maps], dim=1))
        return network.forward_head(final)

    def scores(self, views: int) -> Tensor:
        """Return the out-of-distribution scores of the images that were seen, float32 (N,).

        Args:
            views: Of how many batches the first one counts.
        """
        assert self.network.ood_detector is not None
        return torch.cat([self.network.ood_detector.score(x) for x in self.features[::views]])


class _Listener:
    """A model outside PyTorch, and the scores that it has given; like a `Recorder`."""

    def __init__(self, model: ScoresItself) -> None:
        self.model, self.spec = model, model.spec
        self.given: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        logits, scores = self.model.with_ood_scores(x)
        self.given.append(scores)
        return logits

    def scores(self, views: int) -> Tensor:
        return torch.cat(self.given[::views])


class WithScores(nn.Module):
    """A model that gives logits and out-of-distribution scores at once, to be exported.

    Args:
        model: A model in evaluation mode that `has_ood_scores`; it is not changed.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._recorders: list[Recorder] = []
        self.model = _recording(model, spec_of(model), self._recorders)
        self.training = False  # not by .eval(), which the layers would share

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map a batch (N, C, H, W) to logits (N, K) and scores (N,)."""
        logits = self.model(x)
        scores = torch.stack([one.scores(views=1) for one in self._recorders]).mean(dim=0)
        for one in self._recorders:
            one.features.clear()
        return logits, scores


def has_ood_scores(model: Model) -> bool:
    """Whether a model says how unfamiliar an image is, if it is run as its own spec says.

    Args:
        model: Any model with a spec.
    """
    recorders: list[Any] = []
    _recording(model, spec_of(model), recorders)
    return bool(recorders)


def run_with_scores(
    model: Model, batches: Iterable[Tensor], spec: ModelSpec, settings: Settings
) -> tuple[Tensor, list[float | None]]:
    """Run a model over prepared batches, and score how unfamiliar the images are in the same pass.

    Args:
        model: As for `run_batches`. The score of an ensemble is the mean of those of its members.
        batches: As for `run_batches`.
        spec: As for `run_batches`.
        settings: As for `run_batches`. With several views, the image as it is counts.

    Returns:
        Calibrated logits, float64 (N, K), and N out-of-distribution scores; None for a model
        without a detector, one that is given images as another spec describes them, or one whose
        logits hooks or a wrapper may change. Wrappers that only pass images on are looked through.

    Raises:
        ValueError: As `run_batches`.
        RuntimeError: As `run_batches`.
    """
    recorders: list[Any] = []
    runs = _recording(model, spec, recorders)
    logits = run_batches(runs, batches, spec, settings)
    if not recorders:
        return logits, [None] * len(logits)
    views = _VIEWS[settings.tta]
    with torch.inference_mode():
        scores = torch.stack([one.scores(views) for one in recorders])
        return logits, scores.mean(dim=0).tolist()


def _recording(model: Any, spec: ModelSpec, recorders: list[Any]) -> Any:
    """Return a model that notes features, or the model itself; the layers are its own.

    Args:
        model: The model.
        spec: How its images are prepared.
        recorders: To which what notes the features is added.
    """
    if scores_itself(model):
        if model.spec.input == spec.input:
            recorders.append(model := _Listener(model))
        return model
    if not isinstance(model, nn.Module) or find_spec(model) is None:
        return model
    network = network_of(model) if isinstance(model, _PASSING_ON) else model
    if not isinstance(network, Classifier) or network.spec.input != spec.input:
        return model
    if _is_changed(model) or _is_changed(network):
        return model
    if isinstance(network, Ensemble):
        return _ensemble(network, recorders)
    if network.ood_detector is None:
        return model
    recorders.append(Recorder(network))
    return recorders[-1]


def _ensemble(ensemble: Ensemble, recorders: list[Any]) -> Ensemble:
    """Return an ensemble with the same members, which note their features.

    A member that gets images in a smaller size than its own would find each of them unfamiliar.
    """
    size, parts = ensemble.spec.input.size, []
    part: Any
    for part in ensemble.parts:
        member, own = part.model, part.own
        if own.size <= size:
            member = _recording(member, replace(spec_of(member), input=own), recorders)
        parts.append(_with_child(part, "model", member))
    recording = nn.ModuleList(parts)
    recording.training = ensemble.parts.training  # not by .eval(), which the members would share
    return _with_child(ensemble, "parts", recording)


def _with_child(module: M, name: str, child: nn.Module) -> M:
    """Return a copy of a module with another child; everything else is shared."""
    copied = copy(module)
    copied._modules = {**module._modules, name: child}
    return copied


def _is_changed(network: nn.Module) -> bool:
    """Whether something else than the network's own `forward` gives its logits."""
    return bool("forward" in vars(network) or network._forward_hooks or network._forward_pre_hooks)
