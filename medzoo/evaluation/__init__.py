"""Measuring models: scores, intervals, reports, plots and probes."""

from medzoo.evaluation.calibrate import Calibration, calibrate
from medzoo.evaluation.comparison import Comparison, Difference, compare
from medzoo.evaluation.coverage import SetCoverage, SetScores, score_sets
from medzoo.evaluation.evaluate import evaluate
from medzoo.evaluation.groups import GroupScores
from medzoo.evaluation.intervals import bootstrap_intervals
from medzoo.evaluation.metrics import (
    CalibrationBin,
    ClassScores,
    Metrics,
    RiskCoverage,
    compute_metrics,
)
from medzoo.evaluation.operating_points import (
    ConfidencePoint,
    OperatingPoint,
    choose_confidence,
    choose_threshold,
)
from medzoo.evaluation.plots import (
    plot_comparison,
    plot_confusion,
    plot_history,
    plot_per_class,
    plot_precision_recall,
    plot_reliability,
    plot_risk_coverage,
    plot_roc,
)
from medzoo.evaluation.probe import Probe, ProbeResult, knn_probe, linear_probe
from medzoo.evaluation.report import Report
from medzoo.evaluation.report_plots import plot_report
from medzoo.evaluation.robustness import (
    CorruptionErrors,
    RobustnessReport,
    evaluate_robustness,
)

__all__ = [
    "Calibration",
    "CalibrationBin",
    "ClassScores",
    "Comparison",
    "ConfidencePoint",
    "CorruptionErrors",
    "Difference",
    "GroupScores",
    "Metrics",
    "OperatingPoint",
    "Probe",
    "ProbeResult",
    "Report",
    "RiskCoverage",
    "RobustnessReport",
    "SetCoverage",
    "SetScores",
    "bootstrap_intervals",
    "calibrate",
    "choose_confidence",
    "choose_threshold",
    "compare",
    "compute_metrics",
    "evaluate",
    "evaluate_robustness",
    "knn_probe",
    "linear_probe",
    "plot_comparison",
    "plot_confusion",
    "plot_history",
    "plot_per_class",
    "plot_precision_recall",
    "plot_reliability",
    "plot_report",
    "plot_risk_coverage",
    "plot_roc",
    "score_sets",
]
