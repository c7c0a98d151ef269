"""Measuring models: predictions, calibration, scores, intervals, reports and plots."""

from medzoo.evaluation.calibration import fit_temperature
from medzoo.evaluation.evaluate import evaluate
from medzoo.evaluation.explain import Explanation, explain
from medzoo.evaluation.inference import predict_logits, probabilities
from medzoo.evaluation.intervals import bootstrap_intervals
from medzoo.evaluation.metrics import CalibrationBin, ClassScores, Metrics, compute_metrics
from medzoo.evaluation.plots import (
    plot_comparison,
    plot_confusion,
    plot_history,
    plot_per_class,
    plot_reliability,
)
from medzoo.evaluation.predict import predict
from medzoo.evaluation.prediction import Failure, Prediction, Predictions
from medzoo.evaluation.probe import Probe, ProbeResult, knn_probe, linear_probe
from medzoo.evaluation.report import Report
from medzoo.evaluation.tta import TTA

__all__ = [
    "TTA",
    "CalibrationBin",
    "ClassScores",
    "Explanation",
    "Failure",
    "Metrics",
    "Prediction",
    "Predictions",
    "Probe",
    "ProbeResult",
    "Report",
    "bootstrap_intervals",
    "compute_metrics",
    "evaluate",
    "explain",
    "fit_temperature",
    "knn_probe",
    "linear_probe",
    "plot_comparison",
    "plot_confusion",
    "plot_history",
    "plot_per_class",
    "plot_reliability",
    "predict",
    "predict_logits",
    "probabilities",
]
