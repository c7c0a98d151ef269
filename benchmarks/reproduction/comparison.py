"""How good the models of medzoo are beside published ones: tables and plot of docs/how-good.md.

Figures of medzoo are those in ``results/``; published ones are in ``reported.toml``. Nothing is
measured here.
"""

from __future__ import annotations

import json
import textwrap
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

import medzoo
from benchmarks.reporting.format import (
    markdown_table,
    millions,
    percent,
    percent_interval,
    seed_summary,
)
from benchmarks.reporting.palette import BLUE, GRAY, ORANGE
from benchmarks.reporting.paths import REPORTED, RESULTS
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.record import Record, seed_stats
from benchmarks.reproduction.rows import Row

SETS = (
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "breastmnist",
    "retinamnist",
    "bloodmnist",
)
_CLOSE = 1.2  # ratio of sizes at which names would overlap in the plot
FORMATS = {"auc": ".3f", "acc": ".2%"}
HEADER = (
    "Model",
    "Parameters",
    "Test ACC (95 % interval)",
    "Mean over seeds",
    "Test AUC (95 % interval)",
)
TRAININGS_HEADER = (
    "Split",
    "Learns from",
    "Training images",
    "Validation AUC",
    "ACC",
    "Test AUC",
    "ACC",
    "Seeds",
)
TRAININGS = (
    ("", "official", "labels and teachers, augmented at 64 px"),
    ("disjoint", "no lesion in two splits", "labels and teachers, augmented at 64 px"),
    ("plain", "official", "labels only, 28 px"),
    ("plain-disjoint", "no lesion in two splits", "labels only, 28 px"),
)
"""Variant, split, and what the model learns from."""


def measured() -> dict[str, list[Row]]:
    """Return the measured rows by data set: published models, and others that were trained."""
    rows: dict[str, list[Row]] = {}
    for values in json.loads((RESULTS / "reproduce.json").read_text())["rows"]:
        row = Row.from_dict(values)
        if row.chosen:
            rows.setdefault(row.dataset, []).append(row)
    for dataset in SETS:
        for model in medzoo.list_models():
            runs = Record(dataset, model).runs()
            if runs and model not in [row.model for row in rows.get(dataset, [])]:
                row = Row(dataset, model, title=f"{model} (not shipped)", runs=runs)
                row.parameters = runs[0]["parameters"]
                row.data_title = runs[0]["report"]["title"]
                rows.setdefault(dataset, []).append(row)
    return {dataset: rows[dataset] for dataset in SETS if dataset in rows}


def references() -> list[dict[str, Any]]:
    """Return the published figures."""
    return read_toml(REPORTED)["reference"]


def table(dataset: str) -> str:
    """Return measured and published results on a data set, sorted by accuracy.

    Args:
        dataset: Name of the data set.
    """
    rows: list[tuple[float, list[str]]] = []
    for row in measured().get(dataset, []):
        report = _report(row)
        acc, auc = report["intervals"]["acc"], report["intervals"]["auc"]
        cells = [
            f"**medzoo {row.title}**, 28 px{_mark(row)}",
            millions(row.parameters or 0),
            f"{percent(report['acc'])} {percent_interval(acc)}",
            seed_summary(row.seeds) if row.seeds else "-",
            f"{report['auc']:.3f} ({auc[0]:.3f} to {auc[1]:.3f})",
        ]
        rows.append((report["acc"], cells))
    for entry in references():
        if scores := entry.get(dataset):
            size = f"{entry['parameters'] / 1e6:.1f} M" if "parameters" in entry else "-"
            auc = f"{scores['auc']:.3f}" if "auc" in scores else "-"
            rows.append((scores["acc"], [entry["name"], size, percent(scores["acc"]), "-", auc]))
    rows.sort(key=lambda row: -row[0])
    return markdown_table(HEADER, [cells for _, cells in rows])


def _report(row: Row) -> dict[str, Any]:
    assert row.chosen is not None  # `measured` returns only rows with runs
    return row.chosen["report"]


def classes_table(dataset: str) -> str:
    """Return precision, recall and AUC of each class, and what its images are taken for.

    Args:
        dataset: Name of the data set.
    """
    rows = []
    for row in measured().get(dataset, []):
        report = _report(row)
        names = [one["name"] for one in report["per_class"]]
        for one, counts in zip(report["per_class"], report["confusion"], strict=True):
            scores = [f"{one[score]:.3f}" for score in ("precision", "recall", "auc")]
            rows.append((row.title, one["name"], *scores, *map(str, counts)))
    header = ("Model", "Class", "Precision", "Recall", "AUC", *(f"as {name}" for name in names))
    return markdown_table(header, rows)


def trainings() -> str:
    """Return the scores of advanced_cnn on DermaMNIST by the way it was trained."""
    rows = []
    for variant, split, learns_from in TRAININGS:
        runs = Record("dermamnist", "advanced_cnn", variant).runs()
        if runs:
            stats = seed_stats(runs)
            test = [_with_deviation(stats[score], digits) for score, digits in FORMATS.items()]
            validation = [
                format(mean(run[f"val_{score}"] for run in runs), digits)
                for score, digits in FORMATS.items()
            ]
            images = f"{runs[0]['images']:,}"
            rows.append((split, learns_from, images, *validation, *test, str(len(runs))))
    return markdown_table(TRAININGS_HEADER, rows)


def _with_deviation(figures: dict[str, Any], digits: str) -> str:
    deviation = "" if figures["sd"] is None else f" ± {figures['sd']:{digits}}"
    return f"{figures['mean']:{digits}}{deviation}"


def _mark(row: Row) -> str:
    """Return the title of the data if they are not the official ones."""
    official = row.data_title == medzoo.dataset_info(row.dataset).title
    return "" if official else f", {row.data_title}"


def plot() -> Figure:
    """Draw test accuracy against parameters, one panel per data set."""
    sets = measured()
    columns = min(2, len(sets))
    lines = -(-len(sets) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.6 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axis, (dataset, rows) in zip(panels, sets.items(), strict=False):
        _draw_references(axis, dataset)
        _draw_measured(axis, rows)
        axis.set(
            xscale="log",
            xlim=(0.7, 500),  # room for names on the right
            xticks=(1, 2, 5, 10, 20, 50),
            xlabel="Parameters, millions",
            ylabel="Test ACC, %",
            title=textwrap.fill(rows[0].data_title, 44),
        )
        low, high = axis.get_ylim()
        axis.set_ylim(low, high + 0.5 * (high - low))  # room for names above the intervals
        axis.xaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}" if value <= 100 else "")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_references(axis: Axes, dataset: str) -> None:
    """Draw published accuracies: points, or lines where the parameters are not known."""
    for entry in references():
        scores = entry.get(dataset)
        if not scores or entry.get("only_in_tables"):
            continue
        acc = 100 * scores["acc"]
        if "parameters" in entry:
            point = (entry["parameters"] / 1e6, acc)
            name, _, size = entry["name"].partition(" (")
            face = ORANGE if size.startswith("28") else "none"
            axis.plot(*point, "s", color=ORANGE, markerfacecolor=face)
            # On the side where no other name is.
            side = 1 if name == "ResNet-50" else -1
            axis.annotate(
                name,
                point,
                textcoords="offset points",
                xytext=(6 * side, 0),
                ha="left" if side > 0 else "right",
                va="center",
                fontsize=7,
                color=ORANGE,
            )
        else:
            axis.axhline(acc, color=GRAY, linestyle=":", linewidth=1)
            axis.annotate(
                entry["name"],
                (0.99, acc),
                xycoords=("axes fraction", "data"),
                ha="right",
                fontsize=7,
                color=GRAY,
                va="top" if entry["name"].startswith("MedViTV2-B") else "bottom",
            )


def _draw_measured(axis: Axes, rows: list[Row]) -> None:
    """Draw accuracies of medzoo with their intervals."""
    sizes = [(row.parameters or 0) / 1e6 for row in rows]
    for row, size in zip(rows, sizes, strict=True):
        report = _report(row)
        low, high = report["intervals"]["acc"]
        acc = report["acc"]
        smaller, larger = (
            any(1 < pair < _CLOSE for pair in ratios)
            for ratios in ([size / other for other in sizes], [other / size for other in sizes])
        )
        axis.errorbar(
            size,
            100 * acc,
            [[100 * (acc - low)], [100 * (high - acc)]],
            color=BLUE,
            marker="o",
            capsize=2,
        )
        axis.annotate(
            row.title,
            (size, 100 * high),
            textcoords="offset points",
            # Upright, and apart from the name of a network of almost the same size.
            xytext=(4 * smaller - 3 * larger, 4),
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=7,
            color=BLUE,
        )
