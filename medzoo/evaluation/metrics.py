"""Scores of a set of predictions, with AUC and ACC exactly as MedMNIST defines them.

Single-label tasks are treated as multi-label ones whose rows are one-hot, so that every score has
one definition for all of MedMNIST's tasks. Unknown labels of multi-label tasks are left out: each
score counts the known labels alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from medzoo.datasets import TASKS, Task
from medzoo.errors import unknown_name

ECE_BINS = 15
THRESHOLD = 0.5

Array = np.ndarray | torch.Tensor
Floats = NDArray[np.float64]


class ClassScores(TypedDict):
    """Scores of one class (or label) against all others; NaN where the class has no image.

    They are computed from the images whose label is known. Precision is 0 for a class that is
    present but never predicted.
    """

    name: str
    precision: float
    recall: float
    f1: float
    auc: float
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
    """All scores of one set of predictions; each in [0, 1].

    A class without a single image (or, for AUC, without an image of any *other* class) has no
    defined score: it is NaN in `per_class`, and the means run over the remaining classes. Unknown
    labels of multi-label tasks are left out: scores of a label are those of the images for which it
    is known, `exact_match` and `majority` those of the images of which every label is known (NaN if
    there are none), and `ece` counts decisions about known labels.

    Attributes:
        auc: Area under the ROC curve as MedMNIST defines it: the mean over classes of
            one-against-rest AUCs; for binary tasks, the AUC of the second class.
        acc: Accuracy as MedMNIST defines it: the share of images classified correctly; for
            multi-label tasks, the mean over labels of the share of correct decisions at 0.5.
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


@dataclass(frozen=True)
class ScoredPredictions:
    """Checked truth and predictions in the one form that all scores are computed from.

    Attributes:
        truth: Which classes each image has, bool (N, K); one-hot for single-label tasks.
        scores: Probability of each class, float64 (N, K).
        decided: Which classes the model decided for, bool (N, K).
        known: Which labels are known, bool (N, K); where they are not, `truth` and `decided` are
            False.
        task: MedMNIST's name of the task.
    """

    truth: NDArray[np.bool_]
    scores: Floats
    decided: NDArray[np.bool_]
    known: NDArray[np.bool_]
    task: Task

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of labels."""
        return is_multi_label(self.task)

    @property
    def auc_classes(self) -> slice:
        """The classes whose AUCs are averaged: all, or the second one for binary tasks."""
        return slice(-1, None) if self.task == "binary-class" else slice(None)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which decisions are right, (N, K); False where the label is unknown."""
        return np.equal(self.truth, self.decided) & self.known

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which of an image's decisions `ece` counts, (N, K) for multi-label tasks, else (N, 1)."""
        return self.known if self.multi_label else self.known[:, :1]

    def _confidence(self) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
        """Return of each decision its probability, whether it is right and its bin; each (N, D)."""
        if self.multi_label:
            confidence = np.where(self.decided, self.scores, 1 - self.scores)
            right = self.right
        else:
            confidence = self.scores[self.decided][:, None]
            right = self.truth[self.decided][:, None]
        bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
        return confidence, right, bins

    def calibration_gaps(self) -> Floats:
        """Sum of (right - confidence) of each image's decisions by confidence bin, (N, 15).

        ``abs(gaps.sum(0)).sum() / decisions`` is the expected calibration error, and any
        resample of the images only re-weights the rows.
        """
        confidence, right, bins = self._confidence()
        gaps = np.zeros((len(confidence), ECE_BINS))
        rows = np.broadcast_to(np.arange(len(confidence))[:, None], bins.shape)
        np.add.at(gaps, (rows, bins), np.where(self.counted, right - confidence, 0.0))
        return gaps

    def calibration(self) -> list[CalibrationBin]:
        """Return the confidence bins that have a decision, by rising confidence."""
        confidence, right, bins = self._confidence()
        counted = self.counted
        members = ((bins == number) & counted for number in np.unique(bins[counted]))
        return [
            CalibrationBin(
                confidence=float(confidence[member].mean()),
                accuracy=float(right[member].mean()),
                count=int(member.sum()),
            )
            for member in members
        ]


def is_multi_label(task: Task) -> bool:
    """Whether the task gives an image any number of labels.

    Args:
        task: MedMNIST's name of the task.

    Raises:
        ValueError: If there is no such task.
    """
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    return task == "multi-label, binary-class"


def mean_present(values: Floats) -> Floats:
    """Mean over the first axis, leaving NaN out; NaN where nothing is left."""
    present = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(present, values, 0.0).sum(axis=0) / present.sum(axis=0)
    return mean


def score_predictions(labels: Array, probabilities: Array, task: Task) -> ScoredPredictions:
    """Check labels and probabilities against each other and take the model's decisions.

    Args:
        labels: Class numbers (N,) or (N, 1), or for multi-label tasks 0/1 (N, K), where an unknown
            label is NaN or -1.
        probabilities: Probability of each class, (N, K), in [0, 1]; K is 2 for binary tasks.
        task: MedMNIST's name of the task.

    Raises:
        ValueError: If shapes or values do not fit; the message names what was expected.
    """
    multi_label = is_multi_label(task)
    truth, scores = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] < (1 if multi_label else 2):
        raise ValueError(
            f"probabilities have shape {scores.shape}; expected (images, classes), "
            "with two classes for a binary task"
        )
    if not len(scores):
        raise ValueError("there are no images to score; give at least one")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(
            "probabilities must be numbers from 0 to 1, without NaN; "
            "turn logits into them with medzoo.inference.probabilities(logits, task)"
        )
    if task == "binary-class" and scores.shape[1] != 2:
        raise ValueError(f"a binary task has two classes, got probabilities of {scores.shape[1]}")

    if multi_label:
        if truth.shape != scores.shape:
            raise ValueError(
                f"labels have shape {truth.shape}; expected {scores.shape}, one per label"
            )
        known = np.isin(truth, (0, 1))
        if not (known | (truth == -1) | (truth != truth)).all():  # NaN differs from itself
            raise ValueError("multi-label labels must be 0 or 1, or NaN or -1 if unknown")
        decided = (scores > THRESHOLD) & known
        return ScoredPredictions(truth == 1, scores, decided, known, task)

    if truth.shape not in {(len(scores),), (len(scores), 1)}:
        raise ValueError(
            f"labels have shape {truth.shape}; expected ({len(scores)},), one per image"
        )
    truth = truth.reshape(-1)
    count = scores.shape[1]
    known = np.isin(truth, np.arange(count))
    if not known.all():
        raise ValueError(
            f"label {truth[~known][0]} is not a class number from 0 to {count - 1}; leave out "
            "images whose class is unknown"
        )
    if task == "binary-class":
        answers = (scores[:, -1] > THRESHOLD).astype(np.int64)
    else:
        answers = scores.argmax(axis=1)
    one_hot = np.eye(count, dtype=bool)
    truth = one_hot[truth.astype(np.int64)]
    return ScoredPredictions(truth, scores, one_hot[answers], np.ones_like(truth), task)


def compute_metrics(
    labels: Array,
    probabilities: Array,
    task: Task,
    classes: Sequence[str] | None = None,
    *,
    warn: bool = True,
) -> Metrics:
    """Score predictions; AUC and ACC equal those of medmnist's `Evaluator`.

    Args:
        labels: Class numbers (N,) or (N, 1), or for multi-label tasks 0/1 (N, K), where an unknown
            label is NaN or -1.
        probabilities: Probability of each class, (N, K), in [0, 1]; K is 2 for binary tasks.
        task: MedMNIST's name of the task.
        classes: Names of the K classes; their numbers when not given.
        warn: Whether a warning names the classes that cannot be scored.

    Returns:
        The scores. Classes that cannot be scored are NaN and left out of the means.

    Raises:
        ValueError: If shapes or values do not fit; the message names what was expected.
    """
    data = score_predictions(labels, probabilities, task)
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
    auc = np.array(
        [
            roc_auc_score(truth[known[:, k], k], data.scores[known[:, k], k])
            if 0 < support[k] < images[k]
            else np.nan
            for k in range(len(names))
        ]
    )

    right, complete = data.right, known.all(axis=1)
    exact_match = _share(right.all(axis=1).sum(), complete.sum())
    if data.multi_label:
        # The mean over labels; where all are known, to the digit what the mean over decisions is.
        shares = np.where(images == 0, np.nan, right.sum(axis=0) / np.maximum(images, 1))
        acc = float(right.mean() if known.all() else mean_present(shares))
        true_negatives = negatives - (predicted - hits)
        specificity = np.where(negatives == 0, np.nan, true_negatives / np.maximum(negatives, 1))
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
                f1=float(f1[k]),
                auc=float(auc[k]),
                support=int(support[k]),
            )
            for k in range(len(names))
        ],
        confusion=confusion.tolist(),
        calibration=data.calibration(),
    )
