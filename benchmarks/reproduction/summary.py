"""Output of reproduce.py for a reader: plots and TRAINING_SUMMARY.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import medzoo
from benchmarks.reporting.format import percent
from benchmarks.reproduction.rows import Row, markdown
from medzoo.evaluation.plots import (
    plot_comparison,
    plot_confusion,
    plot_history,
    plot_per_class,
    plot_reliability,
)
from medzoo.files import write_atomically


def write_row_plots(
    row: Row,
    seed: int,
    report: medzoo.Report,
    history: list[dict[str, Any]] | None,
    output: Path,
) -> None:
    """Write report, confusion matrix, per-class bars and training curves of one model.

    Args:
        row: The model and data set.
        seed: Seed of the training.
        report: Scores on the test split.
        history: One dictionary per epoch, or None if the model was not trained in this run.
        output: Folder of the results.
    """
    folder, name = output / row.dataset, f"{row.model}-seed{seed}"
    content = json.dumps(report.to_dict(), indent=2) + "\n"
    write_atomically(folder / "metrics" / f"{name}-test.json", content.encode())
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    plot_confusion(report, plots / f"{name}-confusion.png")
    plot_per_class(report, plots / f"{name}-per-class.png")
    plot_reliability(report, plots / f"{name}-reliability.png")
    if history:
        title = f"{row.title} on {row.data_title}, seed {seed}"
        plot_history(history, plots / f"{name}-training.png", title=title)


def write_comparison(rows: list[Row], output: Path) -> None:
    """Write ``model_comparison.png``: reported against measured figures.

    Args:
        rows: The table; rows without a figure are left out.
        output: Folder of the results.
    """
    bars = [
        {
            "label": f"{row.full_title}, {row.data_title}{_unless_accuracy(row.metric)}",
            "reported": row.reported,
            "measured": row.measured,
            "interval": row.interval,
        }
        for row in rows
        if row.reported is not None or row.measured is not None
    ]
    output.mkdir(parents=True, exist_ok=True)
    plot_comparison(bars, output / "model_comparison.png")


def _unless_accuracy(metric: str) -> str:
    return "" if metric == "acc" else f", {metric.replace('_', ' ')}"


def write_summary(rows: list[Row], output: Path, heading: str) -> None:
    """Write ``TRAINING_SUMMARY.md``: the table, then the scores of each row in detail.

    Args:
        rows: The table.
        output: Folder of the results.
        heading: Title of the page.
    """
    parts = [f"# {heading}\n\n{markdown(rows)}\n\n![Reported and measured](model_comparison.png)\n"]
    for row in rows:
        parts.append(f"\n## {row.full_title} on {row.data_title}\n")
        if row.problem:
            parts.append(f"{row.problem[0].upper()}{row.problem[1:]}: {row.reason}\n")
        if row.note:
            parts.append(f"The reported figure is {row.note}.\n")
        for run in row.runs:
            report = medzoo.Report.from_dict(run["report"])
            folder = "/".join(filter(None, (row.variant, row.dataset)))
            name = f"{folder}/plots/{row.model}-seed{run['seed']}"
            curves = f"![Training]({name}-training.png)\n" if "best_epoch" in run else ""
            seconds = f", {run['seconds'] / 60:.1f} minutes" if "seconds" in run else ""
            validated = f"; validation AUC {run['val_auc']:.4f}" if "val_auc" in run else ""
            sha256 = run.get("sha256")
            weights = f"; sha256 of the weights `{sha256}`" if sha256 else ""
            parts.append(
                f"\nSeed {run['seed']}{seconds}{validated}; test ACC {percent(report.acc)}"
                f"{weights}; data md5 `{report.provenance['md5']}`.\n\n"
                f"```\n{report}\n```\n\n{curves}"
                f"![Confusion matrix]({name}-confusion.png)\n"
                f"![Scores by class]({name}-per-class.png)\n"
            )
    parts.append("\nFor research and teaching; not for clinical use.\n")
    write_atomically(output / "TRAINING_SUMMARY.md", "\n".join(parts).encode())
