"""Areas under the ROC and the precision-recall curve, for many weightings of the same scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medzoo.evaluation.metrics.predictions import Floats


def weighted_areas(
    positive: NDArray[np.bool_],
    scores: Floats,
    weights: Floats,
    known: NDArray[np.bool_] | None = None,
) -> tuple[Floats, Floats]:
    """Area under the ROC curve, and average precision, for many weightings of the same scores.

    The first is the weighted share of (positive, negative) pairs in which the positive scores
    higher, ties counting half: scikit-learn's ``roc_auc_score(sample_weight=...)``. The second is
    the mean over positives of the precision at their score: ``average_precision_score``.

    Args:
        positive: Which images are positive, bool (N,).
        scores: Score of each image, (N,).
        weights: Weight of each image in each weighting, not negative, (N, R).
        known: Which of the images that are not positive are negative, bool (N,); by default all.

    Returns:
        AUC and average precision of each weighting, each (R,). AUC is NaN where one has no
        positive or no negative, average precision where it has no positive.
    """
    negatives = np.flatnonzero(~positive if known is None else ~positive & known)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    sorted_scores = scores[negatives]
    # below[i] is the weight of the i lowest-scoring negatives.
    below = np.zeros((len(negatives) + 1, weights.shape[1]))
    np.cumsum(weights[negatives], axis=0, out=below[1:])
    found, own = scores[positive], weights[positive]
    lower = below[np.searchsorted(sorted_scores, found, side="left")]
    lower_or_equal = below[np.searchsorted(sorted_scores, found, side="right")]
    won = np.einsum("ir,ir->r", own, (lower + lower_or_equal) / 2)
    support = own.sum(axis=0)

    order = np.argsort(-found, kind="stable")
    last_equal = np.searchsorted(-found[order], -found[order], side="right") - 1
    hits = np.cumsum(own[order], axis=0)[last_equal]
    called = hits + (below[-1] - lower[order])
    precision = hits / np.maximum(called, np.finfo(np.float64).tiny)
    with np.errstate(invalid="ignore"):
        auc: Floats = won / (support * below[-1])
        average_precision: Floats = np.einsum("ir,ir->r", own[order], precision) / support
    return auc, average_precision
