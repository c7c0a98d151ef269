"""The scores of MedMNIST-C: balanced errors, also relative to those of AlexNet."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np

from medzoo.evaluation.metrics import Floats, ScoredPredictions, mean_present
from medzoo.files import parse_json


def balanced_error(data: ScoredPredictions, counts: Floats) -> Floats:
    """Return 1 minus the balanced accuracy of each resample.

    Args:
        data: The truth and the predictions of N images.
        counts: How often each image is drawn, (N, R).

    Returns:
        (R,), in [0, 1]. Classes that a resample lacks are left out; NaN if it lacks all.
    """

    def share(hits: np.ndarray, all_of: np.ndarray) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = (hits.T.astype(float) @ counts) / (all_of.T.astype(float) @ counts)
        return found

    recall = share(data.truth & data.decided, data.truth)
    if not data.multi_label:
        return 1 - mean_present(recall)
    others = data.known & ~data.truth
    return 1 - mean_present((recall + share(others & ~data.decided, others)) / 2)


@cache
def alexnet_errors(dataset: str) -> dict[str, float] | None:
    """Return AlexNet's balanced errors that MedMNIST-C's scores are relative to.

    They are published with the package medmnistc 0.1.0 (Di Salvo et al., 2024), and were measured
    on images of 224 pixels.

    Args:
        dataset: Name of one of MedMNIST's data sets.

    Returns:
        The error of each corruption, the mean over severities, and that of the images as they are
        (``"clean"``); None for a data set without them.
    """
    file = resources.files("medzoo.evaluation.robustness").joinpath("alexnet.json")
    found: dict[str, float] | None = parse_json(file.read_text(encoding="utf-8")).get(dataset)
    return found


def relative_errors(
    error: Floats, clean: Floats, corruption: str, alexnet: dict[str, float] | None
) -> tuple[Floats, Floats]:
    """Return BE and rBE of one corruption.

    Args:
        error: Balanced error on damaged images, the mean over severities, (R,).
        clean: Balanced error on the images as they are, (R,).
        corruption: Name of the corruption.
        alexnet: What `alexnet_errors` returns.

    Returns:
        The error divided by AlexNet's, and its increase by the damage divided by AlexNet's, each
        (R,); NaN without AlexNet's errors.
    """
    if alexnet is None:
        return np.full_like(error, np.nan), np.full_like(error, np.nan)
    expected = alexnet[corruption]
    return error / expected, (error - clean) / (expected - alexnet["clean"])
