"""Reading measured speeds: the table and the plots of docs/speed.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.palette import BLUE, GRAY, ORANGE
from benchmarks.speed_cases.measurement import OURS, Measurement
from benchmarks.speed_cases.record import measurements, newest, read

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OFFICIAL = "official script, ResNet-18"
HEADER = ("Task", "medzoo", "Others", "Result", "Target", "Met")
_MET = {None: "open", True: "yes", False: "**no**"}


def speed_tables(*cases: str) -> str:
    """Return the tables of all processors, and with several first their results side by side.

    Args:
        *cases: Names of cases, as in speed.py.
    """
    found = [(one["machine"], rows) for one in read() if (rows := measurements(one, *cases))]
    # Apart, because targets of a GPU are not those of a CPU.
    kinds = [[one for one in found if _is_gpu(one[0]) == gpu] for gpu in (False, True)]
    parts = [side_by_side(kind) for kind in kinds if len(kind) > 1]
    parts += [f"{table(rows)}\n\nMeasured on: {where(machine)}." for machine, rows in found]
    return "\n\n".join(parts)


def _is_gpu(machine: Mapping[str, Any]) -> bool:
    return bool(machine["instructions"].startswith("CUDA"))


def side_by_side(measured: Sequence[tuple[Mapping[str, Any], Sequence[Measurement]]]) -> str:
    """Lay out the results of several processors, a column for each.

    Args:
        measured: Machines, the newest first, and the rows that were measured on them.
    """
    rows: dict[str, Measurement] = {}
    for row in chain.from_iterable(own for _, own in measured):
        rows.setdefault(row.work, row)  # of the first machine, whose targets hold for all
    columns = [{row.work: row for row in rows} for _, rows in measured]
    header = ["Task", "Target", *(_title(machine) for machine, _ in measured)]
    lines = [
        [work, _target(row), *(_short(column.get(work), row.target) for column in columns)]
        for work, row in rows.items()
    ]
    return markdown_table(header, lines)


def _title(machine: Mapping[str, Any]) -> str:
    peak = f"{machine['peak_gflops']:,.0f} GFLOP/s"
    return f"{machine['processor']}, {machine['instructions']}, {peak}"


def _short(row: Measurement | None, target: float | None) -> str:
    if row is None:
        return "not measured"
    verdict = {True: "", False: ", **missed**", None: ", open" if target is not None else ""}
    return f"{_result(row)}{verdict[replace(row, target=target).met]}"


def table(rows: list[Measurement]) -> str:
    """Lay rows out as a Markdown table; below it, what limits missed and open targets.

    Args:
        rows: The rows.
    """
    lines = [markdown_table(HEADER, map(_cells, rows))]
    limits: dict[str, list[str]] = {}
    for row in rows:
        if row.limit and row.target is not None and row.met is not True:
            limits.setdefault(row.limit, []).append(row.work)
    if limits:
        lines += ["", "What limits the tasks whose target is missed or open:", ""]
        lines += [f"- *{'; '.join(works)}.* {limit}" for limit, works in limits.items()]
    return "\n".join(lines)


def _cells(row: Measurement) -> list[str]:
    values = {name: _number(value) for name, value in row.values.items()}
    ours = f"{values.pop(OURS)} {row.unit}"
    others = "<br>".join(f"{value} {name}" for name, value in values.items())
    if row.noisy:
        ours = others = "-"
    met = "" if row.target is None else _MET[row.met]
    return [row.work, ours, others, f"{_result(row)}, {row.note}", _target(row), met]


def _result(row: Measurement) -> str:
    """Return the result with its interval; of a noisy row, no figure."""
    interval = ""
    if row.interval is not None and row.interval[0] < row.interval[1]:
        interval = " ({} to {})".format(*(_with_unit(value, row.kind) for value in row.interval))
    return f"**{'noisy' if row.noisy else _with_unit(row.achieved, row.kind)}**{interval}"


def _target(row: Measurement) -> str:
    return "" if row.target is None else f"at {row.direction} {_with_unit(row.target, row.kind)}"


def where(values: Mapping[str, Any]) -> str:
    """Describe the machine and the versions with which rows were measured.

    Args:
        values: As `benchmarks.timing.machine.machine` returns them.
    """
    extra = "".join(f"; {values[key]}" for key in ("date", "note") if key in values)
    versions = ", ".join(f"{name} {v}" for name, v in values["versions"].items() if v)
    return (
        f"{values['processor']}, {values['cores']} cores, {values['threads']} threads, "
        f"{values['instructions']}, {values.get('peak_dtype', 'float32')} peak "
        f"{values['peak_gflops']:,.0f} GFLOP/s; "
        f"Python {values['python']}, {versions}{extra}"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _with_unit(value: float, kind: str) -> str:
    text = _number(value)
    return f"{text} {kind}" if kind and kind != "x" else f"{text}{kind}"


def growth_plot() -> Figure:
    """Draw epoch time against images and pixels, each with the line of exact proportion."""
    from matplotlib.figure import Figure  # not installed on every GPU machine

    _, (images, pixels) = newest("growth")
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
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    row = newest("accuracy")[1][-1]
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
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure
