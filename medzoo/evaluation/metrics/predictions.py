"""Checked truth and predictions, in the one form that all scores are computed from.

Single-label tasks are treated as multi-label ones whose rows are one-hot, so that every score has
one definition for all of MedMNIST's tasks. Unknown labels of multi-label tasks are left out: each
score counts the known labels alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from medzoo.datasets import TASKS, Task
from medzoo.errors import unknown_name

ECE_BINS = 15
THRESHOLD = 0.5
"""Probability above which a label, or the second class of a binary task, is decided for."""

Array = np.ndarray | torch.Tensor
Floats = NDArray[np.float64]


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

    @property
    def grade_distances(self) -> Floats | None:
        """Squared distance of each image's true and decided grade, (N,); None without grades."""
        if self.task != "ordinal-regression":
            return None
        distance: Floats = (self.truth.argmax(axis=1) - self.decided.argmax(axis=1)) ** 2.0
        return distance

    def decisions(self) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
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
        confidence, right, bins = self.decisions()
        gaps = np.zeros((len(confidence), ECE_BINS))
        rows = np.broadcast_to(np.arange(len(confidence))[:, None], bins.shape)
        np.add.at(gaps, (rows, bins), np.where(self.counted, right - confidence, 0.0))
        return gaps


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


def check_threshold(
    threshold: float | Sequence[float] | None, task: Task | None, classes: int
) -> Floats:
    """Return the threshold of each decision.

    Args:
        threshold: One number, or one per label of a multi-label task; None for 0.5.
        task: MedMNIST's name of the task; None counts as one without thresholds.
        classes: Number of classes.

    Returns:
        Probabilities above which to decide, (1,) for one number, else (K,); each in (0, 1).

    Raises:
        TypeError: If it is not a number, or a sequence of numbers.
        ValueError: If one is not in (0, 1), the number of them differs from that of the labels, or
            the task takes the most probable class.
    """
    if threshold is None:
        return np.array([THRESHOLD])
    expected = f"threshold={threshold!r:.80} must be a number between 0 and 1, or one per label"
    try:
        given = np.atleast_1d(np.asarray(threshold))
    except ValueError as error:  # rows of different lengths
        raise TypeError(expected) from error
    if given.dtype.kind not in "iuf":
        raise TypeError(expected)
    above: Floats = given.astype(np.float64)
    if not ((above > 0) & (above < 1)).all():
        raise ValueError(f"threshold={threshold!r:.80} must be a number between 0 and 1")
    if task not in ("binary-class", "multi-label, binary-class"):
        raise ValueError(
            f"threshold={threshold!r:.80} is for binary and multi-label tasks; this one "
            "decides for the most probable class"
        )
    if above.shape != (1,) and (task == "binary-class" or above.shape != (classes,)):
        count = "one number" if task == "binary-class" else f"one number, or {classes}"
        raise ValueError(f"threshold={threshold!r:.80} must be {count}")
    return above


def mean_present(values: Floats) -> Floats:
    """Mean over the first axis, leaving NaN out; NaN where nothing is left."""
    present = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(present, values, 0.0).sum(axis=0) / present.sum(axis=0)
    return mean


def as_array(values: Array) -> np.ndarray:
    """Return a tensor of any device, also one with gradients or of bfloat16, as a NumPy array.

    Args:
        values: A tensor, or whatever NumPy makes an array of.
    """
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    tensor = values.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def score_predictions(
    labels: Array,
    probabilities: Array,
    task: Task,
    threshold: float | Sequence[float] | None = None,
) -> ScoredPredictions:
    """Check labels and probabilities against each other and take the model's decisions.

    Args:
        labels: Class numbers (N,) or (N, 1), or for multi-label tasks 0/1 (N, K), where an unknown
            label is NaN or -1.
        probabilities: Probability of each class, (N, K), in [0, 1]; K is 2 for binary tasks.
        task: MedMNIST's name of the task.
        threshold: Probability above which the second class of a binary task is decided for, or a
            label of a multi-label task (then also one per label); 0.5 when not given.

    Raises:
        TypeError: If the threshold is not a number, or a sequence of numbers.
        ValueError: If shapes or values do not fit; the message names what was expected.
    """
    multi_label = is_multi_label(task)
    truth, scores = as_array(labels), as_array(probabilities).astype(np.float64, copy=False)
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
    above = check_threshold(threshold, task, scores.shape[1])

    if multi_label:
        if truth.shape != scores.shape:
            raise ValueError(
                f"labels have shape {truth.shape}; expected {scores.shape}, one per label"
            )
        known = np.isin(truth, (0, 1))
        if not (known | (truth == -1) | (truth != truth)).all():  # NaN differs from itself
            raise ValueError("multi-label labels must be 0 or 1, or NaN or -1 if unknown")
        decided = (scores > above) & known
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
            f"label {truth[~known].tolist()[0]!r} is not a class number from 0 to {count - 1}; "
            "leave out images whose class is unknown"
        )
    if task == "binary-class":
        answers = (scores[:, -1] > above[0]).astype(np.int64)
    else:
        answers = scores.argmax(axis=1)
    one_hot = np.eye(count, dtype=bool)
    truth = one_hot[truth.astype(np.int64)]
    return ScoredPredictions(truth, scores, one_hot[answers], np.ones_like(truth), task)
