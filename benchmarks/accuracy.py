"""How good medzoo's models are beside published ones: the tables and the plot of docs/how-good.md.

    python benchmarks/accuracy.py    # draw the plot

Ours come from benchmarks/results/reproduce.json, published figures from reported.toml.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from record import Record, seed_stats
from rows import REPORTED, Row, percent, spread, tomllib

import medzoo

RESULTS = Path(__file__).parent / "results" / "reproduce.json"
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "accuracy_parameters.png"
SETS = ("dermamnist", "pneumoniamnist", "breastmnist", "retinamnist")
FORMATS = {"auc": ".3f", "acc": ".2%"}
BLUE, ORANGE, GRAY = "#0072b2", "#d55e00", "#999999"


def measured() -> dict[str, list[Row]]:
    """Return the measured rows of each data set: what is shipped, and what was only trained."""
    rows: dict[str, list[Row]] = {}
    for values in json.loads(RESULTS.read_text())["rows"]:
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
    return tomllib.loads(REPORTED.read_text(encoding="utf-8"))["reference"]


def table(dataset: str) -> str:
    """Return a data set's rows, ours and published ones, the most accurate first.

    Args:
        dataset: Name of the data set.
    """
    lines: list[tuple[float, str]] = []
    for row in measured().get(dataset, []):
        report = row.chosen["report"]  # type: ignore[index]
        (low, high), (auc_low, auc_high) = (report["intervals"][s] for s in ("acc", "auc"))
        seeds = spread(row.seeds) if row.seeds else "-"
        cells = (
            f"**medzoo {row.title}**, 28 px{_mark(row)}",
            f"{row.parameters / 1e6:.2f} M",  # type: ignore[operator]
            f"{percent(report['acc'])} ({100 * low:.1f} to {100 * high:.1f})",
            seeds,
            f"{report['auc']:.3f} ({auc_low:.3f} to {auc_high:.3f})",
        )
        lines.append((report["acc"], " | ".join(cells)))
    for entry in references():
        if scores := entry.get(dataset):
            size = f"{entry['parameters'] / 1e6:.1f} M" if "parameters" in entry else "-"
            auc = f"{scores['auc']:.3f}" if "auc" in scores else "-"
            cells = (entry["name"], size, percent(scores["acc"]), "-", auc)
            lines.append((scores["acc"], " | ".join(cells)))
    lines.sort(key=lambda line: -line[0])
    head = (
        "| Model | Parameters | Test ACC (95 % interval) | Over seeds | Test AUC (95 % interval) |"
    )
    return "\n".join([head, "|---|---|---|---|---|", *(f"| {line} |" for _, line in lines)])


def trainings() -> str:
    """Return what advanced_cnn reaches on DermaMNIST by the ways it was trained."""
    lines = [
        "| Split | Learns from | Training images | Validation AUC | ACC | Test AUC | ACC | Seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for variant, split, source in (
        ("", "official", "labels and teachers, changes at 64 px"),
        ("disjoint", "no lesion in two splits", "labels and teachers, changes at 64 px"),
        ("plain", "official", "labels alone, at 28 px"),
        ("plain-disjoint", "no lesion in two splits", "labels alone, at 28 px"),
    ):
        runs = Record("dermamnist", "advanced_cnn", variant).runs()
        if runs:
            test = seed_stats(runs)
            cells = [_with_deviation(test[score], digits) for score, digits in FORMATS.items()]
            validation = [
                format(mean(run[f"val_{score}"] for run in runs), digits)
                for score, digits in FORMATS.items()
            ]
            images = f"{runs[0]['images']:,}"
            lines.append(
                f"| {' | '.join((split, source, images, *validation, *cells, str(len(runs))))} |"
            )
    return "\n".join(lines)


def _with_deviation(figures: dict[str, Any], digits: str) -> str:
    deviation = "" if figures["sd"] is None else f" ± {figures['sd']:{digits}}"
    return f"{figures['mean']:{digits}}{deviation}"


def _mark(row: Row) -> str:
    """Name the data once more where they are not the official ones."""
    official = row.data_title == medzoo.dataset_info(row.dataset).title
    return "" if official else f", {row.data_title}"


def plot() -> Figure:
    """Test accuracy against parameters, a panel a data set."""
    sets = measured()
    figure = Figure(
        figsize=(4.6 * min(2, len(sets)), 3.6 * -(-len(sets) // 2)), layout="constrained"
    )
    panels = figure.subplots(-(-len(sets) // 2), min(2, len(sets)), squeeze=False).flat
    for axis, (dataset, rows) in zip(panels, sets.items(), strict=False):
        for entry in references():
            scores = entry.get(dataset)
            if scores and "parameters" in entry:
                axis.plot(entry["parameters"] / 1e6, 100 * scores["acc"], "s", color=ORANGE)
                axis.annotate(
                    entry["name"].replace(" (", "\n("),
                    (entry["parameters"] / 1e6, 100 * scores["acc"]),
                    textcoords="offset points",
                    xytext=(6, -8),
                    fontsize=7,
                    color=ORANGE,
                )
            elif scores:
                axis.axhline(100 * scores["acc"], color=GRAY, linestyle=":", linewidth=1)
                axis.annotate(
                    entry["name"],
                    (0.99, 100 * scores["acc"]),
                    xycoords=("axes fraction", "data"),
                    ha="right",
                    fontsize=7,
                    color=GRAY,
                    va="top" if entry["name"].startswith("MedViTV2-B") else "bottom",
                )
        for number, row in enumerate(sorted(rows, key=lambda row: row.parameters or 0)):
            report = row.chosen["report"]  # type: ignore[index]
            low, high = report["intervals"]["acc"]
            acc = report["acc"]
            axis.errorbar(
                row.parameters / 1e6,  # type: ignore[operator]
                100 * acc,
                [[100 * (acc - low)], [100 * (high - acc)]],
                color=BLUE,
                marker="o",
                capsize=2,
            )
            axis.annotate(
                row.title,
                (row.parameters / 1e6, 100 * acc),  # type: ignore[operator]
                textcoords="offset points",
                xytext=(4, -11 if number % 2 else 5),  # names of neighbours would overlap
                fontsize=7,
                color=BLUE,
            )
        axis.set(
            xscale="log",
            xlim=(0.7, 500),  # room for names on the right
            xticks=(1, 2, 5, 10, 20, 50),
            xlabel="Parameters, millions",
            ylabel="Test ACC, %",
            title=rows[0].data_title,
        )
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    IMAGE.parent.mkdir(exist_ok=True)
    plot().savefig(IMAGE, dpi=150)
    print(IMAGE)
