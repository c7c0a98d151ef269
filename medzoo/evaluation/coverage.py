"""How often prediction sets contain the truth, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from torch import Tensor

from medzoo.datasets import Task
from medzoo.evaluation.intervals import Interval, check_resampling, percentiles, resample_counts
from medzoo.evaluation.metrics import Array, Floats, score_predictions
from medzoo.inference.conformal import prediction_sets
from medzoo.spec import ConformalMethod, ConformalSpec

_CONFIDENCE = 0.95


class SetCoverage(TypedDict):
    """The prediction sets of some images; NaN where there are no images.

    Attributes:
        name: Name of the class of the images.
        coverage: Share of the images whose class is in the set; for multi-label tasks the mean
            share of an image's labels, over images with a label (of one label: of the images that
            have it, the share whose set has it).
        size: Mean number of classes in their sets.
        coverage_interval: 95 % bootstrap interval of the coverage; None without resamples.
        size_interval: That of the size.
    """

    name: str
    coverage: float
    size: float
    coverage_interval: Interval | None
    size_interval: Interval | None


class SetScores(TypedDict):
    """The prediction sets of a split.

    Attributes:
        method: How they are made; see `medzoo.ConformalSpec`.
        target: The coverage that they were calibrated for.
        overall: The coverage and size over all images.
        per_class: Those of the images of each class.
    """

    method: ConformalMethod
    target: float
    overall: SetCoverage
    per_class: list[SetCoverage]


def score_sets(
    conformal: ConformalSpec,
    labels: Array,
    probabilities: Tensor,
    task: Task,
    classes: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> SetScores:
    """Measure prediction sets.

    Args:
        conformal: The thresholds.
        labels: As for `compute_metrics`.
        probabilities: Calibrated probabilities of the N images, float64 (N, K).
        task: MedMNIST's name of the task.
        classes: Names of the classes.
        resamples: Bootstrap resamples of the images for the 95 % intervals; 0 for none.
        seed: Seed of the resampling.

    Returns:
        Coverage and size, overall and per class.

    Raises:
        TypeError: If number or seed of the resamples are not whole numbers.
        ValueError: If shapes or values do not fit.
    """
    resamples, seed = check_resampling(resamples, seed)
    data = score_predictions(labels, probabilities, task)
    inside = prediction_sets(conformal, probabilities, multi_label=data.multi_label).numpy()
    truth, size = data.truth, inside.sum(axis=1, dtype=np.float64)
    found, labelled = (inside & truth).sum(axis=1), truth.sum(axis=1)
    # Each figure is a sum over images divided by another one: overall, and for each class.
    sums = np.stack([found / np.maximum(labelled, 1), size, *(inside & truth).T, *(size * truth.T)])
    counts = np.stack([labelled > 0, np.ones_like(size), *truth.T, *truth.T]).astype(np.float64)
    values = _ratios(sums, counts, np.ones((len(size), 1)))[:, 0]
    intervals: list[Interval | None] = [None] * len(values)
    if resamples:
        drawn = [_ratios(sums, counts, c) for c in resample_counts(len(size), resamples, seed)]
        rows = np.concatenate(drawn, axis=1)
        intervals = [percentiles(row, _CONFIDENCE) for row in rows]

    def scores(name: str, coverage: int, size: int) -> SetCoverage:
        return SetCoverage(
            name=name,
            coverage=float(values[coverage]),
            size=float(values[size]),
            coverage_interval=intervals[coverage],
            size_interval=intervals[size],
        )

    return SetScores(
        method=conformal.method,
        target=conformal.coverage,
        overall=scores("all", 0, 1),
        per_class=[scores(name, 2 + k, 2 + len(classes) + k) for k, name in enumerate(classes)],
    )


def _ratios(sums: Floats, counts: Floats, drawn: Floats) -> Floats:
    """Return the figures of each resample; NaN where it has no such images."""
    with np.errstate(invalid="ignore"):
        ratios: Floats = (sums @ drawn) / (counts @ drawn)
    return ratios
