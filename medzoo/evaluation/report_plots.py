"""All plots of a report, in one folder."""

from __future__ import annotations

import os
from pathlib import Path

from medzoo.evaluation.plots import (
    plot_confusion,
    plot_per_class,
    plot_reliability,
    plot_risk_coverage,
)
from medzoo.evaluation.report import Report

_PLOTS = {
    "confusion": plot_confusion,
    "per_class": plot_per_class,
    "reliability": plot_reliability,
    "risk_coverage": plot_risk_coverage,
}


def plot_report(report: Report, folder: str | os.PathLike[str]) -> list[Path]:
    """Draw a report's confusion matrix, scores per class, reliability and risk-coverage.

    Args:
        report: What `evaluate` returned.
        folder: Where ``confusion.png``, ``per_class.png``, ``reliability.png`` and
            ``risk_coverage.png`` (unless an older version made the report) are written; it is
            made if it does not exist.

    Returns:
        The paths written.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    drawn = zip(_PLOTS.items(), plot_paths(folder), strict=True)
    # Reports of earlier versions have no curve.
    return [
        plot(report, path)
        for (name, plot), path in drawn
        if name != "risk_coverage" or report.risk_coverage
    ]


def plot_paths(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `plot_report` writes.

    Args:
        folder: Where it writes them.
    """
    return [Path(folder) / f"{name}.png" for name in _PLOTS]
