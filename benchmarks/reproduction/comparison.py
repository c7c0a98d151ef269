"""How good the models of medzoo are beside published ones: tables and plot of docs/how-good.md.

Figures of medzoo are those in ``results/``; published ones are in ``reported.toml``. Nothing is
measured here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import mean
from typing import Any

from matplotlib.figure import Figure

import medzoo
from benchmarks.reporting.format import (
    markdown_table,
    millions,
    percent,
    percent_interval,
    seed_summary,
)
from benchmarks.reporting.palette import BLUE, ORANGE
from benchmarks.reporting.paths import REPORTED, RESULTS
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.record import Record, seed_stats
from benchmarks.reproduction.rows import Row, title_of
from medzoo.datasets.info import split_tag

SETS = (
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "breastmnist",
    "retinamnist",
    "bloodmnist",
    "chestmnist",
)
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
    """Return the measured rows by data set: published models, and others that were trained.

    Models for larger images are among those of their data set.
    """
    rows: dict[str, list[Row]] = {}
    for values in json.loads((RESULTS / "reproduce.json").read_text())["rows"]:
        row = Row.from_dict(values)
        if row.chosen:
            rows.setdefault(split_tag(row.dataset)[0], []).append(row)
    for dataset in SETS:
        for model in medzoo.list_models():
            runs = Record(dataset, model).runs()
            shipped = [row.name for row in rows.get(dataset, [])]
            if runs and f"{dataset}/{model}" not in shipped:
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
            f"**medzoo {row.title}**, {_size(row)} px{_mark(row)}",
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
            title = f"{row.title}, {_size(row)} px"
            rows.append((title, one["name"], *scores, *map(str, counts)))
    header = ("Model", "Class", "Precision", "Recall", "AUC", *(f"as {name}" for name in names))
    return markdown_table(header, rows)


def multi_label_table(dataset: str) -> str:
    """Return the overall scores of models that give an image any number of labels.

    Args:
        dataset: Name of the data set.
    """
    header = (
        "Model",
        "Parameters",
        "Macro AUC",
        "ACC",
        "Exact match",
        "Macro F1",
        "Mean over seeds",
    )
    rows, majority = [], None
    for row in measured().get(dataset, []):
        report = _report(row)
        scores = [
            f"{report[name]:.3f} ({low:.3f} to {high:.3f})"
            for name in ("auc", "acc", "exact_match", "macro_f1")
            for low, high in [report["intervals"][name]]
        ]
        seeds = seed_summary(row.seeds) if row.seeds else "-"
        rows.append((f"**medzoo {row.title}**", millions(row.parameters or 0), *scores, seeds))
        majority = f"{report['majority']:.3f}"
    if majority:
        rows.append(("always the most frequent answer", "-", "0.500", "-", majority, "-", "-"))
    return markdown_table(header, rows)


def labels_table(dataset: str) -> str:
    """Return the AUC of each label with its interval, for each model.

    Args:
        dataset: Name of the data set.
    """
    rows = measured().get(dataset, [])
    reports = [_report(row) for row in rows]
    lines = []
    for number, label in enumerate(reports[0]["per_class"] if reports else ()):
        cells = [label["name"], f"{label['support']:,}"]
        for report in reports:
            auc = report["per_class"][number]["auc"]
            if auc is None:
                cells.append("not defined: no image has it")
                continue
            low, high = report["auc_intervals"][number]
            cells.append(f"{auc:.3f} ({low:.3f} to {high:.3f})")
        lines.append(cells)
    header = ("Label", "Test images", *(f"AUC, {row.title}" for row in rows))
    return markdown_table(header, lines)


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


def _size(row: Row) -> int:
    """Return height and width of the images, in pixels."""
    return split_tag(row.dataset)[1]


def _mark(row: Row) -> str:
    """Return the title of the data if they are not the official ones."""
    official = row.data_title == title_of(row.dataset)
    return "" if official else f", {row.data_title}"


def plot() -> Figure:
    """Draw test accuracy with its interval, one panel per data set, one line per model."""
    sets = measured()
    panels = {dataset: _points(dataset, rows) for dataset, rows in sets.items()}
    heights = [len(points) + 3.5 for points in panels.values()]  # room for title and axis
    figure = Figure(figsize=(7, 0.2 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False).flat
    for axis, (dataset, points) in zip(axes, panels.items(), strict=True):
        for place, point in enumerate(points):
            low, high = point.interval
            axis.errorbar(
                point.acc,
                place,
                xerr=[[point.acc - low], [high - point.acc]] if low < high else None,
                color=point.color,
                marker="s" if point.color == ORANGE else "o",
                markerfacecolor=point.color if point.size == 28 else "none",
                capsize=2,
            )
        axis.set_yticks(range(len(points)), [point.label for point in points], fontsize=8)
        for tick, point in zip(axis.get_yticklabels(), points, strict=True):
            tick.set_color(point.color)
        axis.set_ylim(len(points) - 0.4, -0.6)  # the best at the top
        axis.set_title(sets[dataset][0].data_title, fontsize=10)
        axis.grid(axis="x", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("Test ACC, %")
    return figure


@dataclass(frozen=True)
class _Point:
    """An accuracy in the plot, in per cent; the interval of a published one is the point."""

    label: str
    acc: float
    interval: tuple[float, float]
    color: str
    size: int  # pixels per side of the images


def _points(dataset: str, rows: list[Row]) -> list[_Point]:
    """Return measured and published accuracies on a data set, the best first."""
    points = []
    for row in rows:
        report = _report(row)
        low, high = (100 * bound for bound in report["intervals"]["acc"])
        size = _size(row)
        larger = f" ({size} px)" if size > 28 else ""
        label = f"medzoo {row.title}{larger}, {millions(row.parameters or 0)}"
        points.append(_Point(label, 100 * report["acc"], (low, high), BLUE, size))
    for entry in references():
        scores = entry.get(dataset)
        if scores and not entry.get("only_in_tables"):
            acc = 100 * scores["acc"]
            count = f", {entry['parameters'] / 1e6:.1f} M" if "parameters" in entry else ""
            size = 28 if "(28" in entry["name"] else 224
            points.append(_Point(f"{entry['name']}{count}", acc, (acc, acc), ORANGE, size))
    return sorted(points, key=lambda point: -point.acc)
