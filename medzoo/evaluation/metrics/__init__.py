"""Scores of predictions: what they are, and how they are computed."""

from medzoo.evaluation.metrics.predictions import (
    THRESHOLD,
    Array,
    Floats,
    ScoredPredictions,
    check_threshold,
    is_multi_label,
    mean_present,
    score_predictions,
)
from medzoo.evaluation.metrics.scores import (
    CalibrationBin,
    ClassScores,
    Metrics,
    compute_metrics,
)
from medzoo.evaluation.metrics.selective import RiskCoverage

__all__ = [
    "THRESHOLD",
    "Array",
    "CalibrationBin",
    "ClassScores",
    "Floats",
    "Metrics",
    "RiskCoverage",
    "ScoredPredictions",
    "check_threshold",
    "compute_metrics",
    "is_multi_label",
    "mean_present",
    "score_predictions",
]
