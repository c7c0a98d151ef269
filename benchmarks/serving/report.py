"""Reading what was measured: the table and the plot of the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.palette import BLUE, GRAY, GREEN, ORANGE
from benchmarks.reporting.paths import RESULTS
from benchmarks.serving.contestants import ASYNC, LITSERVE, MODEL, THREADS
from benchmarks.serving.measure import CLIENTS
from benchmarks.speed_cases import report as speed
from benchmarks.speed_cases.measurement import OURS, Measurement

SERVING = RESULTS / "serving.json"
_MOST = str(CLIENTS[-1])
_PLAIN = (ASYNC, THREADS)
_STYLES = {OURS: (BLUE, "-"), LITSERVE: (ORANGE, "-"), ASYNC: (GRAY, "-"), THREADS: (GREEN, "--")}


def rows(measured: Mapping[str, Any]) -> list[Measurement]:
    """Compare the services.

    Args:
        measured: As `benchmarks.serving.measure.measure` returns it.
    """
    services = measured["services"]
    rates = {name: loads[_MOST]["rate"] for name, loads in services.items()}
    alone = {name: loads["1"]["p50"] for name, loads in services.items()}
    tails = {name: loads["steady"]["p99"] for name, loads in services.items()}
    plain = max(_PLAIN, key=rates.__getitem__)
    predict = measured["predict"]
    median = services[OURS]["steady"]["p50"]
    return [
        Measurement(
            f"throughput, {_MOST} clients",
            "images/s",
            {name: rate for name, rate in rates.items() if name != LITSERVE},
            rates[OURS] / rates[plain],
            target=3,
            note=f"against {plain}",
        ),
        Measurement(
            f"throughput, {_MOST} clients, against another service with batches",
            "images/s",
            {name: rates[name] for name in (OURS, LITSERVE)},
            rates[OURS] / rates[LITSERVE],
            target=1,
            note=f"against {LITSERVE}",
        ),
        Measurement(
            "latency, one client",
            "ms",
            alone | {"medzoo.predict, without a service": predict},
            alone[OURS] / predict,
            target=1.3,
            direction="most",
            note="median, against medzoo.predict on the same files",
        ),
        Measurement(
            "99th percentile of latency at 80 % of its highest rate",
            "ms",
            tails,
            tails[OURS] / median,
            target=4,
            direction="most",
            note=f"over the median, {median:.3g} ms",
        ),
    ]


def tables(values: Mapping[str, Any]) -> str:
    """Lay out the comparison, and below it what each service did under each load.

    Args:
        values: The content of results/serving.json.
    """
    clients = (f"{count} client{'s' if count > 1 else ''}" for count in CLIENTS)
    header = ("Service", *clients, "at 80 % of its highest rate")
    lines = [
        (name, *(cell(loads[load]) for load in (*map(str, CLIENTS), "steady")))
        for name, loads in values["services"].items()
    ]
    return (
        f"{speed.table(rows(values))}\n\nAnswers per second, with median and 99th percentile of "
        f"latency, {MODEL}:\n\n{markdown_table(header, lines)}\n\n"
        f"Measured on: {speed.where(values['machine'])}."
    )


def table() -> str:
    """Return the table of what was recorded."""
    return tables(json.loads(SERVING.read_text()))


def cell(load: Mapping[str, float]) -> str:
    """Return rate, median and 99th percentile of latency as text.

    Args:
        load: The values of a load.
    """
    failed = f", **{load['failed']:,.0f} failed**" if load["failed"] else ""
    return f"{load['rate']:.0f}/s, {load['p50']:.0f} ms, {load['p99']:.0f} ms{failed}"


def plot() -> Figure:
    """Draw throughput and median latency against the number of clients."""
    services = json.loads(SERVING.read_text())["services"]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, 2))
    x = np.array(CLIENTS)
    for axis, key, label in zip(
        panels,
        ("rate", "p99"),
        ("Images per second", "99th percentile of latency, ms"),
        strict=True,
    ):
        for name, loads in services.items():
            colour, line = _STYLES[name]
            y = [loads[str(count)][key] for count in CLIENTS]
            axis.plot(x, y, color=colour, linestyle=line, marker="o", label=name)
        axis.set_xscale("log", base=2)
        axis.set_xticks(x, map(str, CLIENTS))
        axis.set(xlabel="Clients", title=label)
        axis.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylim(bottom=0)
    panels[1].set_yscale("log")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure
