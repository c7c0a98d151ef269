"""Percentile bootstrap intervals, computed for all resamples at once.

A bootstrap resample of the images is a vector of counts: how often each image was drawn. Every
score is a function of sums that are linear in these counts, so that a matrix product with the
(images, resamples) matrix of counts gives it for all resamples together, and the AUC needs a
single sort per class instead of one per resample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medzoo.datasets import Task
from medzoo.evaluation.metrics import (
    Array,
    Floats,
    ScoredPredictions,
    mean_present,
    score_predictions,
)

_CLASS_AUC = "class_auc"
_CHUNK_ELEMENTS = 4_000_000
"""Counts held at once (32 MB), whatever the size of the split."""


Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """Bootstrap intervals ``(low, high)``; NaN for what no resample has.

    Attributes:
        overall: Those of the overall scores, by name.
        auc: Those of each class's AUC, in the order of the classes.
    """

    overall: dict[str, Interval]
    auc: list[Interval]


def bootstrap_intervals(
    labels: Array,
    probabilities: Array,
    task: Task,
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Intervals:
    """Percentile bootstrap intervals of the scores, resampling the images.

    The interval says how far the score could move with another test set of this size; it says
    nothing about other training runs. In a resample without any image of a class, the mean over
    classes runs over those that it has. A resample looks on average worse calibrated than the split
    that it is drawn from, so the interval of the ECE is shifted upwards.

    Args:
        labels: Class numbers (N,) or (N, 1), or for multi-label tasks 0/1 (N, K), where an unknown
            label is NaN or -1.
        probabilities: Probability of each class, (N, K), in [0, 1]; K is 2 for binary tasks.
        task: MedMNIST's name of the task.
        resamples: Number of resamples; at least 1.
        seed: Seed of the resampling; equal seeds give equal intervals.
        confidence: Share of the resamples inside the interval, between 0 and 1.

    Returns:
        The intervals of ``"auc"``, ``"acc"``, ``"exact_match"``, ``"balanced_acc"``,
        ``"macro_f1"`` and ``"ece"``, as `compute_metrics` defines them, and those of the classes.

    Raises:
        ValueError: If shapes or values do not fit; the message names what was expected.
    """
    if resamples < 1:
        raise ValueError(f"resamples={resamples!r} must be at least 1")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r} must lie between 0 and 1, e.g. 0.95")
    data = score_predictions(labels, probabilities, task)
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK_ELEMENTS // len(data.truth))
    chunks = [
        resampled_scores(data, _draw_counts(rng, len(data.truth), min(step, resamples - start)))
        for start in range(0, resamples, step)
    ]
    resampled = {name: np.concatenate([c[name] for c in chunks], axis=-1) for name in chunks[0]}
    by_class = resampled.pop(_CLASS_AUC)
    # The two classes of a binary task have the same AUC.
    by_class = np.broadcast_to(by_class, (data.truth.shape[1], by_class.shape[1]))
    return Intervals(
        {name: _percentiles(values, confidence) for name, values in resampled.items()},
        [_percentiles(values, confidence) for values in by_class],
    )


def _percentiles(values: Floats, confidence: float) -> Interval:
    values = values[~np.isnan(values)]
    if not len(values):
        return np.nan, np.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _draw_counts(rng: np.random.Generator, images: int, resamples: int) -> Floats:
    """How often each image is drawn in each resample, (images, resamples)."""
    counts = np.empty((resamples, images))
    # One draw per resample, so that the numbers do not depend on the size of the chunks.
    for row in counts:
        row[:] = np.bincount(rng.integers(images, size=images), minlength=images)
    return np.ascontiguousarray(counts.T)


def resampled_scores(data: ScoredPredictions, counts: Floats) -> dict[str, Floats]:
    """The overall scores of each resample.

    Args:
        data: The truth and the predictions of N images.
        counts: How often each image is drawn, (N, R); every column sums to a positive number.

    Returns:
        Name of the score -> its value in each resample, (R,); NaN where it has none. Those of the
        classes' AUCs, (K, R), are under ``"class_auc"``; a binary task has one.
    """

    def total(values: NDArray[np.bool_] | np.bool_ | Floats) -> Floats:
        product: Floats = values.T.astype(np.float64) @ counts
        return product

    truth, decided = data.truth, data.decided
    images = total(data.known)  # of each class
    support, predicted, hits = total(truth), total(decided), total(truth & decided)
    right = data.right
    with np.errstate(invalid="ignore", divide="ignore"):
        exact_match = total(right.all(axis=1)) / total(data.known.all(axis=1))
        recall = hits / support
        f1 = np.where(support > 0, 2 * hits / (support + predicted), np.nan)
        if data.multi_label:
            specificity = (images - support - predicted + hits) / (images - support)
            acc, balanced = mean_present(total(right) / images), (recall + specificity) / 2
        else:
            acc, balanced = exact_match, recall
    auc_classes = range(truth.shape[1])[data.auc_classes]
    auc = np.stack(
        [
            weighted_auc(truth[:, k], data.scores[:, k], counts, data.known[:, k])
            for k in auc_classes
        ]
    )
    gaps, decisions = total(data.calibration_gaps()), total(data.counted).sum(axis=0)
    return {
        "auc": mean_present(auc),
        "acc": acc,
        "exact_match": exact_match,
        "balanced_acc": mean_present(balanced),
        "macro_f1": mean_present(f1),
        "ece": np.abs(gaps).sum(axis=0) / np.where(decisions > 0, decisions, np.nan),
        _CLASS_AUC: auc,
    }


def weighted_auc(
    positive: NDArray[np.bool_],
    scores: Floats,
    weights: Floats,
    known: NDArray[np.bool_] | None = None,
) -> Floats:
    """Area under the ROC curve for many weightings of the same scores.

    It is the weighted share of (positive, negative) pairs in which the positive scores higher,
    ties counting half; the same as scikit-learn's ``roc_auc_score(sample_weight=...)``.

    Args:
        positive: Which images are positive, bool (N,).
        scores: Score of each image, (N,).
        weights: Weight of each image in each weighting, not negative, (N, R).
        known: Which of the images that are not positive are negative, bool (N,); by default all.

    Returns:
        AUC of each weighting, (R,); NaN where one has no positive or no negative.
    """
    negatives = np.flatnonzero(~positive if known is None else ~positive & known)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    sorted_scores = scores[negatives]
    # below[i] is the weight of the i lowest-scoring negatives.
    below = np.zeros((len(negatives) + 1, weights.shape[1]))
    np.cumsum(weights[negatives], axis=0, out=below[1:])
    lower = below[np.searchsorted(sorted_scores, scores[positive], side="left")]
    lower_or_equal = below[np.searchsorted(sorted_scores, scores[positive], side="right")]
    won = np.einsum("ir,ir->r", weights[positive], (lower + lower_or_equal) / 2)
    with np.errstate(invalid="ignore"):
        auc: Floats = won / (weights[positive].sum(axis=0) * below[-1])
    return auc
