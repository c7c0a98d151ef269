"""Scores of a set of predictions, with AUC and ACC exactly as MedMNIST defines them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from medzoo.datasets import Task
from medzoo.evaluation.metrics.agreement import cohen_kappa, label_agreement, matthews
from medzoo.evaluation.metrics.areas import weighted_areas
from medzoo.evaluation.metrics.predictions import (
    Array,
    ScoredPredictions,
    mean_present,
    score_predictions,
)
from medzoo.evaluation.metrics.selective import RiskCoverage, risk_areas, risk_coverage


class ClassScores(TypedDict):
    """Scores of one class (or label) against all others; NaN where the class has no image.

    They are computed from the images whose label is known.

    Attributes:
        name: Name of the class.
        precision: Share of the images decided to be of the class that are: the positive predictive
            value (PPV). 0 for a class that is present but never predicted.
        recall: Share of the class's images that were found: the sensitivity.
        specificity: Share of the other images that were not mistaken for the class; NaN only if
            there are none.
        npv: Negative predictive value: share of the images decided to be of another class that
            are. 0 if there are other images and none of the decisions is for them.
        f1: Harmonic mean of precision and recall.
        auc: Area under the ROC curve.
        average_precision: Area under the precision-recall curve, as scikit-learn's
            ``average_precision_score``.
        support: Number of images of the class.
    """

    name: str
    precision: float
    recall: float
    specificity: float
    npv: float
    f1: float
    auc: float
    average_precision: float
    support: int


class CalibrationBin(TypedDict):
    """The decisions whose probability lies in one of the bins of the calibration error.

    Attributes:
        confidence: Mean probability of the decided answers, in [0, 1].
        accuracy: Share of these decisions that are correct, in [0, 1].
        count: Number of decisions, at least 1.
    """

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Metrics:
    """All scores of one set of predictions; each in [0, 1], `kappa` and `mcc` in [-1, 1].

    A class without a single image (or, for AUC, without an image of any *other* class) has no
    defined score: it is NaN in `per_class`, and the means run over the remaining classes. Unknown
    labels of multi-label tasks are left out: scores of a label are those of the images for which it
    is known, `exact_match` and `majority` those of the images of which every label is known (NaN if
    there are none), and `ece` counts decisions about known labels.

    Attributes:
        auc: Area under the ROC curve as MedMNIST defines it: the mean over classes of
            one-against-rest AUCs; for binary tasks, the AUC of the second class.
        acc: Accuracy as MedMNIST defines it: the share of images classified correctly; for
            multi-label tasks, the mean over labels of the share of correct decisions. Binary and
            multi-label decisions are "yes" above the threshold, 0.5 unless given, and "no" at it.
        exact_match: Share of the images with every label correct; for single-label tasks equal to
            `acc`.
        balanced_acc: Mean recall over classes; for multi-label tasks, the mean over labels of
            (sensitivity + specificity) / 2.
        macro_f1: Mean F1 score over classes.
        ece: Expected calibration error (Guo et al., *On Calibration of Modern Neural Networks*,
            ICML 2017) over 15 equal-width bins of the decided answer's probability; for
            multi-label tasks over all decisions of all labels, a decision for "no" having the
            probability 1 - p.
        majority: Share of the most frequent answer: what a model that always gives this one
            answer reaches in `exact_match`. The figure to beat.
        per_class: One `ClassScores` per class, in the order of the classes.
        confusion: Counts, rows true and columns predicted, shape (K, K); for multi-label tasks
            one ``[[TN, FP], [FN, TP]]`` per label, shape (K, 2, 2).
        calibration: The bins behind `ece` that have a decision, by rising confidence.
        average_precision: Area under the precision-recall curve (PR-AUC, average precision): the
            mean over classes; for binary tasks, that of the second class.
        kappa: Cohen's kappa, the agreement beyond chance; with quadratic weights if the classes are
            grades (ordinal regression). For multi-label tasks the mean over labels. NaN where
            all images belong to one class.
        mcc: Matthews correlation coefficient; as `kappa`.
        aurc: Area under the risk-coverage curve: the mean share of wrong answers, over all shares
            of the images that the model answers, the most confident first. Lower is better. For
            multi-label tasks of the share of wrong decisions about an image.
        e_aurc: How much `aurc` exceeds that of the same answers in the ideal order.
        risk_coverage: Points of the risk-coverage curve, at most 100, by rising coverage.
    """

    auc: float
    acc: float
    exact_match: float
    balanced_acc: float
    macro_f1: float
    ece: float
    majority: float
    per_class: list[ClassScores]
    confusion: list[Any]
    calibration: list[CalibrationBin] = field(default_factory=list, kw_only=True)
    average_precision: float = field(default=math.nan, kw_only=True)
    kappa: float = field(default=math.nan, kw_only=True)
    mcc: float = field(default=math.nan, kw_only=True)
    aurc: float = field(default=math.nan, kw_only=True)
    e_aurc: float = field(default=math.nan, kw_only=True)
    risk_coverage: list[RiskCoverage] = field(default_factory=list, kw_only=True)


def compute_metrics(
    labels: Array,
    probabilities: Array,
    task: Task,
    classes: Sequence[str] | None = None,
    *,
    threshold: float | Sequence[float] | None = None,
    warn: bool = True,
) -> Metrics:
    """Score predictions; AUC and ACC equal those of medmnist's `Evaluator`.

    Args:
        labels: Class numbers (N,) or (N, 1), or for multi-label tasks 0/1 (N, K), where an unknown
            label is NaN or -1.
        probabilities: Probability of each class, (N, K), in [0, 1]; K is 2 for binary tasks.
        task: MedMNIST's name of the task.
        classes: Names of the K classes; their numbers when not given.
        threshold: Probability above which the second class of a binary task is decided for, or a
            label of a multi-label task (then also one per label); 0.5 when not given.
        warn: Whether a warning names the classes that cannot be scored.

    Returns:
        The scores. Classes that cannot be scored are NaN and left out of the means.

    Raises:
        TypeError: If the threshold is not a number, or a sequence of numbers.
        ValueError: If shapes or values do not fit; the message names what was expected.
    """
    data = score_predictions(labels, probabilities, task, threshold)
    count = data.truth.shape[1]
    names = [str(number) for number in range(count)] if classes is None else list(classes)
    if len(names) != count:
        raise ValueError(f"got {len(names)} class names for probabilities of {count} classes")
    if warn:
        _warn_of_absent(data, names)
    return _metrics(data, names)


def _warn_of_absent(data: ScoredPredictions, names: Sequence[str]) -> None:
    """Warn once of all classes that no image, or every image, belongs to."""
    counts = list(zip(names, data.truth.sum(axis=0), data.known.sum(axis=0), strict=True))
    absent = [name for name, positive, _ in counts if positive == 0]
    everywhere = [name for name, positive, known in counts if 0 < positive == known]
    parts = []
    if absent:
        parts.append(f"no image has {', '.join(absent)}: scores are NaN there")
    if everywhere:
        parts.append(f"every image has {', '.join(everywhere)}: no AUC there")
    if parts:
        warnings.warn(
            "; ".join(parts) + "; overall scores are means over the other classes",
            UserWarning,
            stacklevel=3,
        )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _metrics(data: ScoredPredictions, names: Sequence[str]) -> Metrics:
    from sklearn.metrics import roc_auc_score

    truth, decided, known = data.truth, data.decided, data.known
    images = known.sum(axis=0)  # of each class
    support, predicted = truth.sum(axis=0), decided.sum(axis=0)
    hits = (truth & decided).sum(axis=0)
    negatives = images - support
    absent = support == 0
    precision = np.where(absent, np.nan, hits / np.maximum(predicted, 1))
    recall = np.where(absent, np.nan, hits / np.maximum(support, 1))
    f1 = np.where(absent, np.nan, 2 * hits / np.maximum(support + predicted, 1))
    true_negatives = negatives - (predicted - hits)
    specificity = np.where(negatives == 0, np.nan, true_negatives / np.maximum(negatives, 1))
    npv = np.where(absent, np.nan, true_negatives / np.maximum(images - predicted, 1))
    auc = np.array(
        [
            roc_auc_score(truth[known[:, k], k], data.scores[known[:, k], k])
            if 0 < support[k] < images[k]
            else np.nan
            for k in range(len(names))
        ]
    )

    once = np.ones((len(truth), 1))
    average_precision = np.array(
        [
            weighted_areas(truth[:, k], data.scores[:, k], once, known[:, k])[1].item()
            for k in range(len(names))
        ]
    )
    of_class = support * 1.0, predicted * 1.0, hits * 1.0
    if data.multi_label:
        kappa, mcc = label_agreement(*of_class, images * 1.0)
    else:
        distances = data.grade_distances
        disagreement = None if distances is None else distances.sum()
        kappa, mcc = cohen_kappa(*of_class, disagreement), matthews(*of_class)
    aurc, e_aurc = risk_areas(data, once)

    right, complete = data.right, known.all(axis=1)
    exact_match = _share(right.all(axis=1).sum(), complete.sum())
    if data.multi_label:
        # The mean over labels; where all are known, to the digit what the mean over decisions is.
        shares = np.where(images == 0, np.nan, right.sum(axis=0) / np.maximum(images, 1))
        acc = float(right.mean() if known.all() else mean_present(shares))
        balanced = (recall + specificity) / 2
        cells = [true_negatives, predicted - hits, support - hits, hits]
        confusion = np.stack(cells, axis=1).reshape(-1, 2, 2)
    else:
        acc, balanced = exact_match, recall
        confusion = truth.T.astype(np.int64) @ decided
    _, answer_counts = np.unique(truth[complete], axis=0, return_counts=True)

    return Metrics(
        auc=float(mean_present(auc[data.auc_classes])),
        acc=acc,
        exact_match=exact_match,
        balanced_acc=float(mean_present(balanced)),
        macro_f1=float(mean_present(f1)),
        ece=_share(np.abs(data.calibration_gaps().sum(axis=0)).sum(), data.counted.sum()),
        majority=_share(answer_counts.max(initial=0), complete.sum()),
        per_class=[
            ClassScores(
                name=names[k],
                precision=float(precision[k]),
                recall=float(recall[k]),
                specificity=float(specificity[k]),
                npv=float(npv[k]),
                f1=float(f1[k]),
                auc=float(auc[k]),
                average_precision=float(average_precision[k]),
                support=int(support[k]),
            )
            for k in range(len(names))
        ],
        confusion=confusion.tolist(),
        calibration=_calibration(data),
        average_precision=float(mean_present(average_precision[data.auc_classes])),
        kappa=float(kappa),
        mcc=float(mcc),
        aurc=aurc.item(),
        e_aurc=e_aurc.item(),
        risk_coverage=risk_coverage(data),
    )


def _calibration(data: ScoredPredictions) -> list[CalibrationBin]:
    """Return the confidence bins that have a decision, by rising confidence."""
    confidence, right, bins = data.decisions()
    counted = data.counted
    members = ((bins == number) & counted for number in np.unique(bins[counted]))
    return [
        CalibrationBin(
            confidence=float(confidence[member].mean()),
            accuracy=float(right[member].mean()),
            count=int(member.sum()),
        )
        for member in members
    ]
