"""Probes: a simple classifier on a fixed backbone's features shows what these are worth."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset, DatasetInfo
from medzoo.datasets.validation import check_dataset
from medzoo.errors import as_whole
from medzoo.evaluation.evaluate import evaluate
from medzoo.evaluation.intervals import check_resampling
from medzoo.evaluation.metrics import compute_metrics
from medzoo.evaluation.report import Report
from medzoo.inference.run import predict_logits, probabilities
from medzoo.models import Classifier, create_model
from medzoo.spec import ModelSpec, spec_of
from medzoo.weights.licence import strictest

STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
NEIGHBOURS = (1, 3, 5, 10, 20, 50, 100)
_LEAST = 1e-12  # probability; its logarithm is finite


class Features(nn.Module):
    """A model without its classifier: images in, what the classifier would see out.

    Args:
        model: A model with timm's ``forward_features`` and ``forward_head``; it stays as it is.

    Raises:
        TypeError: If the model does not say which images it expects.
        ValueError: If it does not have these methods.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not hasattr(model, "forward_features") or not hasattr(model, "forward_head"):
            raise ValueError(
                f"backbone is a {type(model).__name__} without forward_features and forward_head; "
                "expected a model of medzoo.create_model or timm.create_model"
            )
        self.model: Any = model
        self.spec = spec_of(model).with_num_classes(0)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, C, H, W) to features (N, D)."""
        features: Tensor = self.model.forward_head(self.model.forward_features(x), pre_logits=True)
        return features


class Probe(Classifier):
    """A fixed backbone with a fitted scikit-learn classifier; used like any model.

    Args:
        features: The backbone.
        classifier: Fitted to its features.
        info: What it was fitted for.

    Attributes:
        classifier: The classifier.
        spec: What the probe is: the backbone's input, and the classes it was fitted for.
    """

    def __init__(self, features: Features, classifier: Any, info: DatasetInfo) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier
        self.info = info
        self.num_classes = info.num_classes
        known = features.spec
        licence = strictest(info.licence, known.licence)
        self.spec = ModelSpec("probe", known.input, dataset=info, licence=licence)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, C, H, W) to logits (N, K), on the CPU."""
        return _logits(self.classifier, self.features(x).detach().float().cpu(), self.info)


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found.

    Attributes:
        probe: The fitted probe; `medzoo.evaluate` and `medzoo.predict` take it like any model.
        setting: The chosen C or number of neighbours.
        tried: The validation AUC of each setting.
        val: The report on the validation split, by which the setting was chosen.
        test: The report on the test split, read for the chosen setting alone.
    """

    probe: Probe = field(repr=False)
    setting: float
    tried: Mapping[float, float]
    val: Report = field(repr=False)
    test: Report = field(repr=False)


def linear_probe(
    backbone: str | Path | nn.Module,
    data: Dataset,
    *,
    strengths: Sequence[float] = STRENGTHS,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    resamples: int = 1000,
    seed: int = 0,
) -> ProbeResult:
    """Fit a logistic regression to a fixed backbone's features; choose its C by validation AUC.

    Features are standardised. In a multi-label set each label has its own regression.

    Args:
        backbone: A checkpoint (``"advanced_cnn.dermamnist"``), a weights file, a timm
            architecture with pretrained weights (``"timm/resnet18"``), or a model.
        data: Fitted to its training split, chosen on its validation split, measured on its test
            split.
        strengths: The values of C, scikit-learn's inverse strength of the penalty, to try. Of
            equally good ones the first counts.
        batch_size: Images run through the backbone at once.
        device: Where the backbone runs: ``"auto"`` or any PyTorch device.
        resamples: Bootstrap resamples of the reports' intervals; 0 for none.
        seed: Of the resampling.

    Returns:
        The probe with the chosen setting, and its reports.

    Raises:
        TypeError: If `resamples` or `seed` is not a whole number.
        ValueError: If the name is unknown or means no weights, the model gives no features, the
            training images are all of one class, validation AUC is undefined, `data` is not a
            data set, or a setting is out of its range.
        WeightsError: If the backbone's weights cannot be found or read.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    check_dataset("data", data)

    def make(strength: float) -> Any:
        regression = LogisticRegression(C=strength, max_iter=2000)
        classifier = OneVsRestClassifier(regression) if data.info.multi_label else regression
        return make_pipeline(StandardScaler(), classifier)

    return _probe(backbone, data, make, strengths, batch_size, device, resamples, seed)


def knn_probe(
    backbone: str | Path | nn.Module,
    data: Dataset,
    *,
    neighbours: Sequence[int] = NEIGHBOURS,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    resamples: int = 1000,
    seed: int = 0,
) -> ProbeResult:
    """Let the most similar training images vote, by a fixed backbone's features.

    Similarity is the cosine between features; a vote counts the more, the closer it is. The number
    of neighbours is chosen by validation AUC.

    Args:
        backbone: As for `linear_probe`; so are the following.
        data: The data set.
        neighbours: The numbers to try; those above the number of training images (with a known
            label) are left out. Of equally good ones the first counts.
        batch_size: Images run through the backbone at once.
        device: Where the backbone runs.
        resamples: Bootstrap resamples of the reports' intervals; 0 for none.
        seed: Of the resampling.

    Returns:
        The probe with the chosen setting, and its reports.

    Raises:
        TypeError, ValueError: As for `linear_probe`.
        WeightsError: If the backbone's weights cannot be found or read.
    """
    from sklearn.neighbors import KNeighborsClassifier

    def make(count: float) -> Any:
        return KNeighborsClassifier(int(count), weights="distance", metric="cosine")

    check_dataset("data", data)
    fewest = int((~data.train.labels.isnan()).sum(0).min())  # known labels
    counts = [as_whole("neighbours", count, 1) for count in neighbours]
    possible = [count for count in counts if count <= fewest]
    return _probe(backbone, data, make, possible, batch_size, device, resamples, seed)


def _probe(
    backbone: str | Path | nn.Module,
    data: Dataset,
    make: Callable[[float], Any],
    settings: Sequence[float],
    batch_size: int,
    device: str | torch.device,
    resamples: int,
    seed: int,
) -> ProbeResult:
    """Fit a classifier with each setting, and report the one with the best validation AUC."""
    resamples, seed = check_resampling(resamples, seed)
    labels = data.train.labels
    _check_varied(data)
    if not settings:
        raise ValueError(
            f"no setting fits the {len(data.train)} training images; give a smaller one"
        )
    named = not isinstance(backbone, nn.Module)
    features = Features(create_model(backbone, pretrained=True) if named else backbone)  # type: ignore[arg-type]
    train, val = (
        predict_logits(features, split.images, batch_size=batch_size, device=device).float()
        for split in (data.train, data.val)
    )
    targets = np.squeeze(labels.numpy())  # a single label is a plain vector to scikit-learn
    tried: dict[float, float] = {}
    best: Any = None
    for setting in settings:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of absent classes: the reports say it
            one = _PerLabel(make, setting) if labels.isnan().any() else make(setting)
            classifier = one.fit(train.numpy(), targets)
            scores = probabilities(_logits(classifier, val, data.info), data.info.task)
            tried[setting] = compute_metrics(data.val.labels, scores, data.info.task).auc
        if math.isnan(tried[setting]):
            raise ValueError(
                f"the validation split of {data.title} has no AUC to choose a setting by: all of "
                "its images are of one class. Move some of each class into it"
            )
        if best is None or tried[setting] > tried[best[0]]:
            best = setting, classifier
    probe = Probe(features, best[1], data.info)
    val_report, test_report = (
        evaluate(probe, split, batch_size=batch_size, device=device, resamples=resamples, seed=seed)
        for split in (data.val, data.test)
    )
    return ProbeResult(probe, best[0], tried, val_report, test_report)


def _check_varied(data: Dataset) -> None:
    """Check that the training images have labels that a classifier can be fitted to."""
    labels = data.train.labels
    low, high = labels.nan_to_num(math.inf).amin(0), labels.nan_to_num(-math.inf).amax(0)
    if (low >= high).all():
        raise ValueError(
            f"the training images of {data.title} are all of one class; a probe needs two or more"
        )
    unknown = labels.isnan().all(0).nonzero()[:, 0].tolist() if data.info.multi_label else []
    if unknown:
        raise ValueError(
            f"no training image of {data.title} has a known label "
            f"{data.info.classes[unknown[0]]!r}; leave this label out"
        )


class _PerLabel:
    """One classifier per label, each fitted to the images whose label is known.

    Args:
        make: Makes a classifier for one label.
        setting: Its setting.
    """

    def __init__(self, make: Callable[[float], Any], setting: float) -> None:
        self.make = make
        self.setting = setting
        self.classifiers: list[Any] = []

    def fit(self, features: np.ndarray, targets: np.ndarray) -> _PerLabel:
        """Fit to features (N, D) and targets (N, K) of zeros, ones and NaN (unknown)."""
        from sklearn.dummy import DummyClassifier  # for a label with one value

        for column in targets.reshape(len(targets), -1).T:
            known = ~np.isnan(column)
            values = column[known].astype(int)
            one = self.make(self.setting) if np.ptp(values) else DummyClassifier()
            self.classifiers.append(one.fit(features[known], values))
        return self

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return the probability of each label, (N, K)."""
        return np.column_stack(
            [one.predict_proba(features) @ one.classes_ for one in self.classifiers]
        )


def _logits(classifier: Any, features: Tensor, info: DatasetInfo) -> Tensor:
    """Return logits, float32 (N, K), whose probabilities are a classifier's.

    A class that its training images lacked has the least probability.
    """
    given = classifier.predict_proba(features.numpy())
    if not info.multi_label:
        chances = np.zeros((len(features), info.num_classes))
        chances[:, classifier.classes_] = given
        return torch.from_numpy(chances).clamp(min=_LEAST).log().float()
    if isinstance(given, list):  # k-NN: one array per label, with a column per value that occurred
        given = np.stack(
            [
                chance[:, list(values).index(1)] if 1 in values else np.zeros(len(chance))
                for chance, values in zip(given, classifier.classes_, strict=True)
            ],
            axis=1,
        )
    # Of a single label scikit-learn gives both values' probabilities.
    return torch.from_numpy(given[:, -info.num_classes :]).logit(_LEAST).float()
