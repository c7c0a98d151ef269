"""All plots of a report, in one folder."""

from __future__ import annotations

import os
from pathlib import Path

from medzoo.evaluation.plots import plot_confusion, plot_per_class, plot_reliability
from medzoo.evaluation.report import Report

_PLOTS = {
    "confusion": plot_confusion,
    "per_class": plot_per_class,
    "reliability": plot_reliability,
}


def plot_report(report: Report, folder: str | os.PathLike[str]) -> list[Path]:
    """Draw a report's confusion matrix, scores per class, and reliability diagram.

    Args:
        report: What `evaluate` returned.
        folder: Where ``confusion.png``, ``per_class.png`` and ``reliability.png`` are written; it
            is made if it does not exist.

    Returns:
        The paths written.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    paths = plot_paths(folder)
    return [plot(report, path) for plot, path in zip(_PLOTS.values(), paths, strict=True)]


def plot_paths(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `plot_report` writes.

    Args:
        folder: Where it writes them.
    """
    return [Path(folder) / f"{name}.png" for name in _PLOTS]
