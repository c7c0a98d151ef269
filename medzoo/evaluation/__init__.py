"""Measuring models: predictions, calibration, scores, intervals, reports and plots."""

from medzoo.evaluation.calibration import fit_temperature
from medzoo.evaluation.evaluate import evaluate
from medzoo.evaluation.inference import predict_logits, probabilities
from medzoo.evaluation.intervals import bootstrap_intervals
from medzoo.evaluation.metrics import ClassScores, Metrics, compute_metrics
from medzoo.evaluation.plots import (
    plot_comparison,
    plot_confusion,
    plot_history,
    plot_per_class,
)
from medzoo.evaluation.predict import Prediction, predict
from medzoo.evaluation.report import Report
from medzoo.evaluation.tta import TTA

__all__ = [
    "TTA",
    "ClassScores",
    "Metrics",
    "Prediction",
    "Report",
    "bootstrap_intervals",
    "compute_metrics",
    "evaluate",
    "fit_temperature",
    "plot_comparison",
    "plot_confusion",
    "plot_history",
    "plot_per_class",
    "predict",
    "predict_logits",
    "probabilities",
]
