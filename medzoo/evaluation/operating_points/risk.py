"""Bounds of the risk at any confidence, so that the risk may be chosen when a model is used."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from medzoo.datasets import Split
from medzoo.evaluation.operating_points.confidence import answers_of, risk_bound
from medzoo.spec import SelectiveSpec

_SHARES = 20
"""Shares of the images, evenly spaced, whose bounds are computed: with more, all are wider."""
CONFIDENCE_LEVEL = 0.95
"""Probability that all bounds hold."""


def fit_selective(probabilities: Tensor, split: Split) -> SelectiveSpec | None:
    """Bound the risk of the most confident 5 %, 10 %, ... 100 % of the answers, all at once.

    Each bound may fail with a twentieth of the probability that any of them may (Bonferroni). So
    they hold for every risk that is asked for afterwards, which those of
    `medzoo.choose_confidence` do not. The images above a confidence count, not the one that
    decides it: given that confidence, they are independent draws (Geifman and El-Yaniv, 2017).

    Args:
        probabilities: Calibrated probabilities of the N images, float64 (N, K).
        split: The split, which has their labels. Images without any known label are left out.

    Returns:
        The bounds; None if no label is known.
    """
    confidence, loss = answers_of(split, probabilities.numpy(), None)
    if not len(confidence):
        return None
    falling = np.sort(confidence)[::-1]
    ranks = [round(len(falling) * share / _SHARES) for share in range(1, _SHARES)]
    cuts = {0.0, *(float(falling[rank]) for rank in ranks if rank < len(falling))}
    error, whole = (1 - CONFIDENCE_LEVEL) / _SHARES, not split.info.multi_label
    found = {}
    for cut in sorted(cuts):
        lost = loss[confidence > cut]
        if len(lost):
            found[cut] = risk_bound(float(lost.sum()), len(lost), error, whole=whole)
    return SelectiveSpec(
        tuple(found), tuple(found.values()), CONFIDENCE_LEVEL, images=len(confidence)
    )
