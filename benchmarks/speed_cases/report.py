"""Reading measured speeds: the table and the plots of docs/speed.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.palette import BLUE, GRAY, ORANGE
from benchmarks.reporting.paths import RESULTS
from benchmarks.speed_cases.measurement import OURS, Measurement

SPEED = RESULTS / "speed.json"
OFFICIAL = "official script, ResNet-18"
HEADER = ("Task", "medzoo", "Others", "Result", "Target", "Met")


def read() -> dict[str, Any]:
    """Return what was measured so far: the machine, and lists of rows by case."""
    if not SPEED.exists():
        return {"machine": {}, "works": {}}
    values: dict[str, Any] = json.loads(SPEED.read_text())
    return values


def measurements(*cases: str) -> list[Measurement]:
    """Return the measured rows of some cases.

    Args:
        *cases: Names of cases, as in speed.py.
    """
    measured = read()["works"]
    return [Measurement.from_dict(row) for case in cases for row in measured.get(case, [])]


def table(rows: list[Measurement]) -> str:
    """Lay rows out as a Markdown table; below it, what limits the missed targets.

    Args:
        rows: The rows.
    """
    lines = [markdown_table(HEADER, map(_cells, rows))]
    limits = {row.limit: row.work for row in reversed(rows) if row.met is False and row.limit}
    if limits:
        lines += ["", "What limits the tasks that miss their target:", ""]
        lines += [f"- *{work}.* {limit}" for limit, work in reversed(limits.items())]
    return "\n".join(lines)


def _cells(row: Measurement) -> list[str]:
    values = dict(row.values)
    ours = f"{_number(values.pop(OURS))} {row.unit}"
    others = "<br>".join(f"{_number(value)} {name}" for name, value in values.items())
    target = "" if row.target is None else f"at {row.direction} {_with_unit(row.target, row.kind)}"
    met = {None: "", True: "yes", False: "**no**"}[row.met]
    result = f"**{_with_unit(row.achieved, row.kind)}**, {row.note}"
    return [row.work, ours, others, result, target, met]


def where(values: Mapping[str, Any]) -> str:
    """Describe the machine and the versions with which rows were measured.

    Args:
        values: As `benchmarks.speed_cases.timing.machine` returns them.
    """
    versions = ", ".join(f"{name} {v}" for name, v in values["versions"].items() if v)
    return (
        f"{values['processor']}, {values['cores']} cores, {values['threads']} threads, "
        f"{values['instructions']}, float32 peak {values['peak_gflops']:.0f} GFLOP/s; "
        f"Python {values['python']}, {versions}"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _with_unit(value: float, kind: str) -> str:
    text = _number(value)
    return f"{text} {kind}" if kind and kind != "x" else f"{text}{kind}"


def growth_plot() -> Figure:
    """Draw epoch time against images and pixels, each with the line of exact proportion."""
    images, pixels = measurements("growth")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, 2))
    for axis, row, label in zip(
        panels, (images, pixels), ("Training images", "Pixels per image"), strict=True
    ):
        x = np.array([int(key) for key in row.details["seconds"]])
        y = np.array(list(row.details["seconds"].values()))
        axis.loglog(x, y[-1] * x / x[-1], color=GRAY, linestyle=":", label="proportional")
        axis.loglog(x, y, color=BLUE, marker="o", label="measured")
        axis.set(xlabel=label, ylabel="Seconds per epoch", title=f"exponent {row.achieved:.2f}")
        axis.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    return figure


def accuracy_plot() -> Figure:
    """Draw test ACC and AUC against seconds: the official script and finished runs of medzoo."""
    row = measurements("accuracy")[-1]
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
