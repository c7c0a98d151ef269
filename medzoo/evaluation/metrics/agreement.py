"""Agreement of decisions with the truth beyond chance: Cohen's kappa and Matthews correlation.

Both follow from how often each class is true, decided for, and both. So they are computed from
these counts, for one set of images (K,) or for all resamples of it at once, (K, R).
"""

from __future__ import annotations

import numpy as np

from medzoo.evaluation.metrics.predictions import Floats, mean_present


def cohen_kappa(
    support: Floats, predicted: Floats, hits: Floats, disagreement: Floats | None = None
) -> Floats:
    """Cohen's kappa of a single-label task, as scikit-learn's ``cohen_kappa_score``.

    Args:
        support: Images of each class, (K, ...).
        predicted: Images that each class is decided for, (K, ...).
        hits: Images of each class for which it is decided, (K, ...).
        disagreement: For kappa with quadratic weights, the sum over images of the squared distance
            between the true and the decided class number, (...).

    Returns:
        Kappa, in [-1, 1]; NaN where all images belong to one class.
    """
    images = support.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        true, decided = support / images, predicted / images
        if disagreement is None:
            expected = (true * decided).sum(axis=0)
            kappa = (hits.sum(axis=0) / images - expected) / (1 - expected)
        else:
            grade = np.arange(len(support), dtype=np.float64)
            mean_true, mean_decided = grade @ true, grade @ decided
            expected = grade**2 @ (true + decided) - 2 * mean_true * mean_decided
            kappa = 1 - disagreement / images / expected
    return _defined(kappa, support)


def matthews(support: Floats, predicted: Floats, hits: Floats) -> Floats:
    """Matthews correlation coefficient of a single-label task, as ``matthews_corrcoef``.

    Args:
        support: Images of each class, (K, ...).
        predicted: Images that each class is decided for, (K, ...).
        hits: Images of each class for which it is decided, (K, ...).

    Returns:
        The coefficient, in [-1, 1]; 0 where one class is decided for all images, NaN where all
        images belong to one class.
    """
    images = support.sum(axis=0)
    together = hits.sum(axis=0) * images - (support * predicted).sum(axis=0)
    spread = (images**2 - (predicted**2).sum(axis=0)) * (images**2 - (support**2).sum(axis=0))
    return _defined(together / np.sqrt(np.where(spread > 0, spread, np.inf)), support)


def label_agreement(
    support: Floats, predicted: Floats, hits: Floats, images: Floats
) -> tuple[Floats, Floats]:
    """Kappa and Matthews correlation of a multi-label task: means over labels.

    Args:
        support: Images with each label, (K, ...).
        predicted: Images for which each label is decided, (K, ...).
        hits: Images with each label for which it is decided, (K, ...).
        images: Images for which each label is known, (K, ...).

    Returns:
        Both, (...). A label that all of its images have, or none, is left out.
    """
    neither = images - support - predicted + hits
    pairs = ((support, images - support), (predicted, images - predicted), (hits, neither))
    each = [np.stack(pair) for pair in pairs]
    return mean_present(cohen_kappa(*each)), mean_present(matthews(*each))


def _defined(values: Floats, support: Floats) -> Floats:
    return np.where((support > 0).sum(axis=0) > 1, values, np.nan)
