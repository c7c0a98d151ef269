"""The figure of a model on damaged images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medzoo.evaluation.figures.figure import BLUE, GRAY, GREEN, ORANGE, new_figure
from medzoo.images.corruptions import FAMILIES, SEVERITIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from medzoo.evaluation.robustness import RobustnessReport

_COLOURS = dict(zip(FAMILIES, (BLUE, ORANGE, GREEN, "#D55E00", "#CC79A7"), strict=True))


def severity_figure(robustness: RobustnessReport) -> Figure:
    """Draw the mean error of each family of corruptions at each severity.

    Args:
        robustness: What `medzoo.evaluate_robustness` returned.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    figure = new_figure(5.6, 4)
    axes = figure.subplots()
    axes.axhline(robustness.clean, color=GRAY, linestyle="--", linewidth=1, label="as they are")
    for family, colour in _COLOURS.items():
        errors = [row["errors"] for row in robustness.corruptions if row["family"] == family]
        if errors:
            mean = np.mean(errors, axis=0)
            axes.plot(SEVERITIES, mean, color=colour, marker="o", markersize=4, label=family)
    axes.set(xticks=SEVERITIES, xlabel="severity of the damage", ylabel="balanced error")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right upper", frameon=False)
    return figure
