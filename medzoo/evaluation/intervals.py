"""Percentile bootstrap intervals, computed for all resamples at once.

A bootstrap resample of the images is a vector of counts: how often each image was drawn. Every
score is a function of sums that are linear in these counts, so that a matrix product with the
(images, resamples) matrix of counts gives it for all resamples together, and the AUC needs a
single sort per class instead of one per resample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medzoo.datasets import Task
from medzoo.errors import as_number, as_whole
from medzoo.evaluation.metrics import (
    Array,
    Floats,
    ScoredPredictions,
    mean_present,
    score_predictions,
)
from medzoo.evaluation.metrics.agreement import cohen_kappa, label_agreement, matthews
from medzoo.evaluation.metrics.areas import weighted_areas
from medzoo.evaluation.metrics.selective import risk_areas

_CHUNK_ELEMENTS = 4_000_000
"""Counts held at once (32 MB), whatever the size of the split."""


Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """Bootstrap intervals ``(low, high)``; NaN for what no resample has.

    Attributes:
        overall: Those of the overall scores, by name.
        auc: Those of each class's AUC, in the order of the classes.
        by_class: Those of each class's other scores, by name, each in the order of the classes.
    """

    overall: dict[str, Interval]
    auc: list[Interval]
    by_class: dict[str, list[Interval]] = field(default_factory=dict)


@dataclass(frozen=True)
class ResampledScores:
    """The scores of each of R resamples, by name; NaN where one has none.

    Attributes:
        overall: The overall scores, each (R,).
        by_class: The scores of each class, each (K, R).
    """

    overall: dict[str, Floats]
    by_class: dict[str, Floats]


def check_resampling(resamples: int, seed: int, least: int = 0) -> tuple[int, int]:
    """Return number and seed of resamples as an `int` each, after checking them.

    Args:
        resamples: Number of resamples.
        seed: Seed of the resampling.
        least: The smallest number of resamples allowed.

    Raises:
        TypeError: If one is not a whole number.
        ValueError: If one is too small.
    """
    return as_whole("resamples", resamples, least), as_whole("seed", seed, 0)


def bootstrap_intervals(
    labels: Array,
    probabilities: Array,
    task: Task,
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    threshold: float | Sequence[float] | None = None,
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
        threshold: As for `compute_metrics`.

    Returns:
        The intervals of the overall scores of `Metrics` (without ``"majority"``), and of the scores
        of each class.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If shapes or values do not fit; the message names what was expected.
    """
    resamples, seed = check_resampling(resamples, seed, 1)
    confidence = as_number("confidence", confidence, "a number between 0 and 1, e.g. 0.95")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r} must lie between 0 and 1, e.g. 0.95")
    data = score_predictions(labels, probabilities, task, threshold)
    found = resample(data, resamples, seed)
    by_class = {
        name: [percentiles(row, confidence) for row in values]
        for name, values in found.by_class.items()
    }
    return Intervals(
        {name: percentiles(values, confidence) for name, values in found.overall.items()},
        by_class.pop("auc"),
        by_class,
    )


def resample(data: ScoredPredictions, resamples: int, seed: int) -> ResampledScores:
    """Score resamples of the images; those of equal seeds and sizes are of the same images.

    Args:
        data: The truth and the predictions of N images.
        resamples: Number of resamples; at least 1.
        seed: Seed of the resampling.

    Raises:
        TypeError: If number or seed are not whole numbers.
        ValueError: If there are no resamples, or the seed is negative.
    """
    resamples, seed = check_resampling(resamples, seed, 1)
    chunks = [
        resampled_scores(data, counts)
        for counts in resample_counts(len(data.truth), resamples, seed)
    ]

    def joined(parts: list[dict[str, Floats]]) -> dict[str, Floats]:
        return {name: np.concatenate([p[name] for p in parts], axis=-1) for name in parts[0]}

    return ResampledScores(
        joined([c.overall for c in chunks]), joined([c.by_class for c in chunks])
    )


def resample_counts(images: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each image is drawn in each resample, in chunks of (images, resamples).

    Args:
        images: Number of images.
        resamples: Number of resamples.
        seed: Seed of the resampling.
    """
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK_ELEMENTS // images)
    for start in range(0, resamples, step):
        yield _draw_counts(rng, images, min(step, resamples - start))


def percentiles(values: Floats, confidence: float) -> Interval:
    """Return the percentile interval of resampled scores.

    Args:
        values: The score of each resample, (R,); NaN where it has none.
        confidence: Share of the resamples inside the interval, between 0 and 1.
    """
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


def resampled_scores(data: ScoredPredictions, counts: Floats) -> ResampledScores:
    """The scores of each resample.

    Args:
        data: The truth and the predictions of N images.
        counts: How often each image is drawn, (N, R); every column sums to a positive number.
    """

    def total(values: NDArray[np.bool_] | np.bool_ | Floats) -> Floats:
        product: Floats = values.T.astype(np.float64) @ counts
        return product

    truth, decided = data.truth, data.decided
    images = total(data.known)  # of each class
    support, predicted, hits = total(truth), total(decided), total(truth & decided)
    negatives, right = images - support, data.right
    true_negatives = images - support - predicted + hits
    with np.errstate(invalid="ignore", divide="ignore"):
        exact_match = total(right.all(axis=1)) / total(data.known.all(axis=1))
        recall, specificity = hits / support, true_negatives / negatives
        precision = np.where(support > 0, hits / np.maximum(predicted, 1), np.nan)
        npv = np.where(support > 0, true_negatives / np.maximum(images - predicted, 1), np.nan)
        f1 = np.where(support > 0, 2 * hits / (support + predicted), np.nan)
        if data.multi_label:
            acc, balanced = mean_present(total(right) / images), (recall + specificity) / 2
        else:
            acc, balanced = exact_match, recall
    of_class = support, predicted, hits
    if data.multi_label:
        kappa, mcc = label_agreement(*of_class, images)
    else:
        distances = data.grade_distances
        disagreement = None if distances is None else total(distances)
        kappa, mcc = cohen_kappa(*of_class, disagreement), matthews(*of_class)
    areas = [
        weighted_areas(truth[:, k], data.scores[:, k], counts, data.known[:, k])
        for k in range(truth.shape[1])
    ]
    auc, average_precision = np.stack(areas, axis=1)
    chosen = data.auc_classes
    gaps, decisions = total(data.calibration_gaps()), total(data.counted).sum(axis=0)
    aurc, e_aurc = risk_areas(data, counts)
    overall = {
        "auc": mean_present(auc[chosen]),
        "average_precision": mean_present(average_precision[chosen]),
        "acc": acc,
        "exact_match": exact_match,
        "balanced_acc": mean_present(balanced),
        "macro_f1": mean_present(f1),
        "kappa": kappa,
        "mcc": mcc,
        "ece": np.abs(gaps).sum(axis=0) / np.where(decisions > 0, decisions, np.nan),
        "aurc": aurc,
        "e_aurc": e_aurc,
    }
    by_class = {
        # The two classes of a binary task have the same AUC.
        "auc": np.broadcast_to(auc[chosen], auc.shape),
        "precision": precision,
        "recall": recall,
        "specificity": specificity,
        "npv": npv,
        "f1": f1,
        "average_precision": average_precision,
    }
    return ResampledScores(overall, by_class)
