"""Measure how well the detectors of the bundled models recognise images of another kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies.ood.images import artificial, other_datasets, photographs, sample
from benchmarks.studies.published.answers import one_thread
from benchmarks.studies.study import NamedTrial
from medzoo.inference.ood import fit_gaussian
from medzoo.models import Classifier
from medzoo.transforms import prepare_batch
from medzoo.weights import weights_index

_TRAIN, _CHOICE, _TEST = 2000, 100, 150  # images per data set
_OWN = 500
_NEIGHBOURS, _PRINCIPAL = 5, 64
Score = Callable[["Outputs"], Tensor]


class Outputs(NamedTuple):
    """What a network gives for N images: logits, what reaches the classifier, means of its maps."""

    logits: Tensor
    last: Tensor
    means: Tensor


def trials() -> Sequence[NamedTrial]:
    """Return a trial per bundled model that has a classifier."""
    entries = [entry for entry in weights_index().values() if entry.spec.dataset]
    entries.sort(key=lambda entry: entry.spec.input.size)
    return [NamedTrial(entry.name) for entry in entries]


@one_thread()
def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Compare methods on validation images; measure the library's on test images.

    Args:
        trial: Names the model.
        source: The data sets.
    """
    model = medzoo.create_model(trial.key, pretrained=True)
    spec = model.spec
    assert spec.dataset is not None
    own = spec.dataset.name
    data = source.load(own, spec.input.size)
    chosen_on = {**other_datasets(source, own, "val", _CHOICE), **artificial(0), **photographs()}
    inside = outputs(model, sample(data.val, _OWN))
    outside = {name: outputs(model, images) for name, images in chosen_on.items()}
    trained_on = outputs(model, sample(data.train, _TRAIN))
    candidates = {}
    for name, score in methods(model, trained_on, data.train.labels).items():
        known = score(inside)
        found = [comparison(known, score(one)) for one in outside.values()]
        candidates[name] = {key: mean(one[key] for one in found) for key in found[0]}

    detector = fit_gaussian(trained_on.means)
    limit = detector.score(inside.means).double().quantile(0.95)
    known = detector.score(outputs(model, sample(data.test, _OWN)).means)
    test = {**other_datasets(source, own, "test", _TEST), **artificial(1), **photographs()}
    kinds = {}
    for name, images in test.items():
        scores = detector.score(outputs(model, images).means)
        marked = {"unfamiliar": (scores > limit).double().mean().item()}
        kinds[name] = comparison(known, scores) | marked
    return {
        "title": data.title,
        "candidates": candidates,
        "own": (known > limit).double().mean().item(),
        "kinds": kinds,
    }


@torch.inference_mode()
def outputs(model: Classifier, images: Tensor) -> Outputs:
    """Run a model over raw images.

    Args:
        model: The model.
        images: uint8 (N, C, H, W).
    """
    parts = []
    for chunk in images.split(256):
        batch = prepare_batch(chunk, model.spec.input)
        final, maps = model.forward_intermediates(batch)  # type: ignore[operator]
        last = model.forward_head(final, pre_logits=True)
        means = torch.cat([one.mean((2, 3)) for one in maps], dim=1)
        parts.append((model.forward_head(final), last, means))
    return Outputs(*(torch.cat(part) for part in zip(*parts, strict=True)))


def methods(model: Classifier, known: Outputs, labels: Tensor) -> Mapping[str, Score]:
    """Fit the candidates, most of them pytorch-ood's; a higher score is less familiar.

    Args:
        model: The model.
        known: Its outputs for images of the training split, evenly spaced.
        labels: Of the whole split.
    """
    from pytorch_ood.detector import KNN, RMD, EnergyBased, Mahalanobis, MaxSoftmax, ViM

    rows = torch.linspace(0, len(labels) - 1, len(known.last)).long()
    multi_label = model.spec.multi_label
    classes = torch.zeros(len(rows)) if multi_label else labels[rows].reshape(-1)
    layer: Any = model.get_classifier()
    fitted = {
        "Mahalanobis": Mahalanobis(None),
        **({} if multi_label else {"relative Mahalanobis": RMD(None)}),
        "k-nearest neighbours": KNN(None, k=_NEIGHBOURS),
        "ViM": ViM(None, _PRINCIPAL, layer.weight, layer.bias),
    }
    scores: dict[str, Score] = {}
    if not multi_label:
        scores["maximum softmax"] = lambda given: MaxSoftmax.score(given.logits)
        scores["energy"] = lambda given: EnergyBased.score(given.logits)
    for name, method in fitted.items():
        method.fit_features(known.last, classes.long())
        scores[name] = partial(_by_last, method)
    last, means = fit_gaussian(known.last), fit_gaussian(known.means)
    scores["probabilistic PCA, last features"] = lambda given: last.score(given.last)
    scores["probabilistic PCA, all levels"] = lambda given: means.score(given.means)
    return scores


def _by_last(method: Any, given: Outputs) -> Tensor:
    return method.predict_features(given.last)


def comparison(known: Tensor, other: Tensor) -> dict[str, float]:
    """Compare the scores of images of a model's kind with those of others.

    Args:
        known: Scores of images of its kind.
        other: Scores of others, which should be higher.

    Returns:
        AUROC, and the share of the others that pass where 95 % of the known images do (FPR95).
    """
    labels = np.repeat([0, 1], [len(known), len(other)])
    auroc = roc_auc_score(labels, torch.cat([known, other]).double().numpy())
    limit = known.double().quantile(0.95)
    return {"auroc": float(auroc), "fpr95": (other <= limit).double().mean().item()}
