"""Tests of paired differences: McNemar's, DeLong's, the bootstrap's, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medzoo.evaluation.metrics import Floats


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """Exact two-sided p-value that two models are right equally often (McNemar's test).

    Args:
        right_a: Whether the first model is right about each image, bool (N,).
        right_b: The same for the second.

    Returns:
        The p-value: that of a fair coin for the images about which one alone is right. 1 if there
        are none.
    """
    from scipy.stats import binomtest

    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def delong(positive: NDArray[np.bool_], scores_a: Floats, scores_b: Floats) -> float:
    """Two-sided p-value that two models have the same AUC (DeLong et al., *Biometrics* 1988).

    Args:
        positive: Which images are positive, bool (N,).
        scores_a: Scores of the first model, (N,).
        scores_b: Scores of the second, (N,).

    Returns:
        The p-value of the normal approximation; NaN with fewer than two images of either kind.
    """
    from scipy.stats import norm, rankdata

    count, others = int(positive.sum()), int((~positive).sum())
    if min(count, others) < 2:
        return math.nan
    by_positive, by_negative, aucs = [], [], []
    for scores in (scores_a, scores_b):
        # Ranks among all minus ranks among their own kind count the other kind below; ties half.
        ranks = rankdata(scores)
        above = (ranks[positive] - rankdata(scores[positive])) / others
        below = 1 - (ranks[~positive] - rankdata(scores[~positive])) / count
        by_positive.append(above)
        by_negative.append(below)
        aucs.append(above.mean())
    variance = np.cov(by_positive) / count + np.cov(by_negative) / others
    spread = variance[0, 0] + variance[1, 1] - 2 * variance[0, 1]
    difference = aucs[0] - aucs[1]
    if spread <= 1e-18:  # of equal scores
        return 1.0 if abs(difference) < 1e-12 else 0.0
    return float(2 * norm.sf(abs(difference) / math.sqrt(spread)))


def bootstrap_p(differences: Floats) -> float:
    """Two-sided p-value of the bootstrap that a difference is 0.

    Args:
        differences: The difference in each resample, (R,); NaN where it has none.

    Returns:
        Twice the smaller share of resamples on one side of 0, at least 1 / (R + 1); NaN without
        resamples.
    """
    values = differences[~np.isnan(differences)]
    if not len(values):
        return math.nan
    fewer = min((values <= 0).sum(), (values >= 0).sum())
    return float(min(1.0, 2 * (fewer + 1) / (len(values) + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several tests by Holm's method (*Scandinavian J. of Statistics* 1979).

    Args:
        p_values: The p-values; NaN stays NaN, and is not counted.

    Returns:
        The adjusted ones, in the same order: the chance of any false finding, if all that are
        below a limit are called findings, is below this limit.
    """
    values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(values), np.nan)
    order = [k for k in np.argsort(values, kind="stable") if not np.isnan(values[k])]
    largest = 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, float(values[k]) * (len(order) - rank)))
        adjusted[k] = largest
    result: list[float] = adjusted.tolist()
    return result
