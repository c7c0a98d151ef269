"""All plots of a report, in one folder."""

from __future__ import annotations

import os
from pathlib import Path

from medzoo.evaluation.plots import (
    plot_confusion,
    plot_per_class,
    plot_precision_recall,
    plot_reliability,
    plot_risk_coverage,
    plot_roc,
)
from medzoo.evaluation.report import Report

_PLOTS = {
    "confusion": plot_confusion,
    "per_class": plot_per_class,
    "reliability": plot_reliability,
    "risk_coverage": plot_risk_coverage,
    "roc": plot_roc,
    "precision_recall": plot_precision_recall,
}


def plot_report(report: Report, folder: str | os.PathLike[str]) -> list[Path]:
    """Draw all plots of a report.

    Args:
        report: What `evaluate` returned.
        folder: Where ``confusion.png``, ``per_class.png``, ``reliability.png`` and
            ``risk_coverage.png`` (unless an older version made the report), ``roc.png`` and
            ``precision_recall.png`` (unless the report was read from a file) are written; it is
            made if it does not exist.

    Returns:
        The paths written.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    lacking = {name for name in ("risk_coverage",) if not report.risk_coverage}
    lacking |= {name for name in ("reliability",) if not report.calibration}
    if report.predictions is None:
        lacking |= {"roc", "precision_recall"}
    drawn = zip(_PLOTS.items(), plot_paths(folder), strict=True)
    return [plot(report, path) for (name, plot), path in drawn if name not in lacking]


def plot_paths(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `plot_report` writes.

    Args:
        folder: Where it writes them.
    """
    return [Path(folder) / f"{name}.png" for name in _PLOTS]
