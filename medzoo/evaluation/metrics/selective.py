"""Selective prediction: the errors that are left if a model answers only where it is confident.

Images are ordered by confidence. The *coverage* is the share of images that are answered, the
*risk* the share of wrong answers among them, and AURC the mean risk over all coverages (Geifman et
al., *Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers*, ICLR 2019). Images of equal
confidence have no order; the risk is then the mean over all of their orders.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from medzoo.evaluation.metrics.predictions import Floats, ScoredPredictions

_POINTS = 100


class RiskCoverage(TypedDict):
    """A point of the risk-coverage curve.

    Attributes:
        coverage: Share of the images that are answered, in (0, 1].
        risk: Share of wrong answers among them, in [0, 1].
        confidence: The least confidence of an image that is answered, in [0, 1].
    """

    coverage: float
    risk: float
    confidence: float


def confidence_of(scores: Floats, decided: NDArray[np.bool_], *, multi_label: bool) -> Floats:
    """How sure a model is of its answer to each image, which is the accuracy that it expects.

    Args:
        scores: Probability of each class, (N, K).
        decided: Which classes the model decided for, bool (N, K).
        multi_label: Whether an image may have any number of labels.

    Returns:
        The probability of the answer, (N,), in [0, 1]; for multi-label tasks the mean over labels
        of the probability of each decision.
    """
    if not multi_label:
        single: Floats = scores[decided]
        return single
    mean: Floats = np.where(decided, scores, 1 - scores).mean(axis=1)
    return mean


def confidence_and_loss(data: ScoredPredictions) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return confidence, loss, and whether it is known, of each image; each (N,).

    The loss is 1 for a wrong answer and 0 for a right one; for multi-label tasks, the share of
    wrong decisions among the known labels. Unknown labels do not count for the confidence, either.
    """
    confidence, right, _ = data.decisions()
    counted = data.counted
    decisions = counted.sum(axis=1)
    of = np.maximum(decisions, 1)
    mean = np.where(counted, confidence, 0.0).sum(axis=1) / of
    return mean, 1 - (right & counted).sum(axis=1) / of, decisions > 0


def weighted_aurc(confidence: Floats, loss: Floats, counts: Floats) -> Floats:
    """Area under the risk-coverage curve, for many resamples of the same images.

    Args:
        confidence: How sure the model is of each image, (N,).
        loss: How wrong its answer is, in [0, 1], (N,).
        counts: How often each image is drawn in each resample, whole numbers, (N, R).

    Returns:
        AURC of each resample, in [0, 1], (R,); NaN where it has no image.
    """
    ranks = np.unique(-confidence, return_inverse=True)[1].reshape(-1)
    drawn = _sums(counts, ranks)
    until = np.cumsum(drawn, axis=0)
    images = until[-1].astype(np.intp)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, images.max(initial=0) + 1))])
    below = np.concatenate([[0.0], np.cumsum(harmonic)])  # sums of the first harmonic numbers
    # An error at place j adds to the risks of all coverages from j on: 1/j + ... + 1/n. Within
    # equal confidence, each place has the mean loss. Only images with a loss matter.
    ordered = np.unique(ranks[loss > 0])
    lossy = np.isin(ranks, ordered)
    lost = _sums(counts[lossy] * loss[lossy, None], ranks[lossy])
    drawn, until = drawn[ordered], until[ordered].astype(np.intp)
    before = until - drawn.astype(np.intp)
    risks = drawn * harmonic[images] - (below[until] - below[before])
    with np.errstate(invalid="ignore"):
        result: Floats = (lost / np.maximum(drawn, 1) * risks).sum(axis=0) / images
    return result


def _sums(rows: Floats, ranks: NDArray[np.intp]) -> Floats:
    """Sum the rows of equal rank, by rising rank."""
    order = np.argsort(ranks, kind="stable")
    starts = np.flatnonzero(np.diff(ranks[order], prepend=-1))
    if len(starts) == len(order):
        return rows[order]
    sums: Floats = np.add.reduceat(rows[order], starts, axis=0)
    return sums


def risk_areas(data: ScoredPredictions, counts: Floats) -> tuple[Floats, Floats]:
    """AURC, and its excess over that of an ideal order of the same answers (E-AURC).

    Args:
        data: The truth and the predictions of N images.
        counts: How often each image is drawn in each resample, (N, R).

    Returns:
        AURC and E-AURC of each resample, each (R,).
    """
    confidence, loss, known = confidence_and_loss(data)
    confidence, loss, counts = confidence[known], loss[known], counts[known]
    if not len(loss):
        nothing = np.full(counts.shape[1], np.nan)
        return nothing, nothing
    aurc = weighted_aurc(confidence, loss, counts)
    return aurc, np.maximum(aurc - weighted_aurc(-loss, loss, counts), 0.0)


def risk_coverage(data: ScoredPredictions) -> list[RiskCoverage]:
    """Return the risk-coverage curve, at most at 100 coverages, by rising coverage."""
    confidence, loss, known = confidence_and_loss(data)
    values, ranks = np.unique(-confidence[known], return_inverse=True)
    if not len(values):
        return []
    answered = np.cumsum(np.bincount(ranks.reshape(-1)))
    lost = np.cumsum(np.bincount(ranks.reshape(-1), loss[known]))
    wanted = answered[-1] * np.arange(1, _POINTS + 1) / _POINTS
    points = np.unique(np.searchsorted(answered, wanted).clip(max=len(answered) - 1))
    return [
        RiskCoverage(
            coverage=float(answered[k] / answered[-1]),
            risk=float(lost[k] / answered[k]),
            confidence=float(-values[k]),
        )
        for k in points
    ]
