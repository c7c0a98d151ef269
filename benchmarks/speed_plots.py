"""Draw the plots of docs/speed.md from benchmarks/results/speed.json.

python benchmarks/speed_plots.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measuring import OURS, Measurement
from speed import rows
from works.accuracy import OFFICIAL

IMAGES = Path(__file__).parents[1] / "docs" / "images"
BLUE, ORANGE, GRAY = "#0072b2", "#d55e00", "#999999"


def growth_plot(images: Measurement, pixels: Measurement) -> Figure:
    """Epoch time against images and pixels, each with the line of exact proportion."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, 2))
    for axis, row, label in zip(
        panels, (images, pixels), ("Training images", "Pixels an image"), strict=True
    ):
        x = np.array([int(key) for key in row.details["seconds"]])
        y = np.array(list(row.details["seconds"].values()))
        axis.loglog(x, y[-1] * x / x[-1], color=GRAY, linestyle=":", label="proportional")
        axis.loglog(x, y, color=BLUE, marker="o", label="measured")
        axis.set(xlabel=label, ylabel="Seconds an epoch", title=f"exponent {row.achieved:.2f}")
        axis.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    return figure


def accuracy_plot(row: Measurement) -> Figure:
    """Test ACC and AUC against seconds: the official script's curve and medzoo's finished runs."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, 2))
    official, ours = row.details["official"], row.details["medzoo"]
    for axis, key, label in zip(panels, ("acc", "auc"), ("Test ACC", "Test AUC"), strict=True):
        axis.axhline(row.details[key], color=GRAY, linestyle=":", label="published, ResNet-18")
        seconds = [epoch["seconds"] for epoch in official]
        axis.plot(
            seconds, [epoch[key] for epoch in official], color=ORANGE, marker="o", label=OFFICIAL
        )
        axis.plot(
            [run["seconds"] for run in ours],
            [run[key] for run in ours],
            color=BLUE,
            marker="x",
            linestyle="",
            label=f"{OURS}, five seeds",
        )
        axis.set(xlabel="Seconds from process start", title=label, xscale="log")
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def main() -> None:
    """Draw what has been measured."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    if grown := rows("growth"):
        growth_plot(*grown).savefig(IMAGES / "speed_growth.png", dpi=120)
    if reached := rows("accuracy"):
        accuracy_plot(reached[-1]).savefig(IMAGES / "speed_accuracy.png", dpi=120)


if __name__ == "__main__":
    main()
