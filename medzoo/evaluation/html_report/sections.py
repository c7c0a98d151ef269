"""The sections of a report: each takes it, and gives a section or None if there is nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medzoo.evaluation.figures.figure import encoded_figure
from medzoo.evaluation.figures.report import (
    confusion_figure,
    per_class_figure,
    precision_recall_figure,
    reliability_figure,
    risk_coverage_figure,
    roc_figure,
)
from medzoo.evaluation.metrics import is_multi_label
from medzoo.evaluation.report_text import (
    SCORE_LABELS,
    class_columns,
    decision_rows,
    digits,
    group_remarks,
    overall_rows,
    remarks,
    score_text,
)
from medzoo.html import Figure, Picture, Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

    from medzoo.evaluation.report import Report

_WITH_INTERVALS = ("recall", "auc")
"""The scores of classes that are shown with intervals: those of all would not fit a page."""


def score_section(report: Report) -> Section:
    """Show the overall scores with their intervals, and how they are to be read.

    Args:
        report: The report.
    """
    tables = [_scores("All classes", overall_rows(report))]
    if decisions := decision_rows(report):
        tables.append(_scores(f"Decisions for {report.per_class[-1]['name']}", decisions))
    return Section("Scores", tables=tables, remarks=remarks(report))


def _scores(caption: str, rows: Sequence[tuple[str, float, Any]]) -> Table:
    cells = [(label, score_text(value, bounds)) for label, value, bounds in rows]
    return Table(("score", "value"), cells, caption)


def class_section(report: Report) -> Section:
    """Show the scores of each class.

    Args:
        report: The report.
    """
    columns, unit = class_columns(report), "label" if is_multi_label(report.task) else "class"
    intervals = {"auc": report.auc_intervals, **report.class_intervals}
    rows = []
    for k, scores in enumerate(report.per_class):
        row: Mapping[str, Any] = scores
        cells = [
            score_text(row[name], intervals[name][k])
            if name in _WITH_INTERVALS and intervals.get(name)
            else digits(row[name])
            for name in columns
        ]
        rows.append((row["name"], *cells, f"{row['support']:,}"))
    table = Table((unit, *columns.values(), "images"), rows, f"Each {unit} against all others")
    undefined = any(math.isnan(row["auc"]) for row in report.per_class)
    return Section(
        "Labels" if unit == "label" else "Classes",
        tables=[table],
        remarks=["-: not defined for this split; left out of the means."] if undefined else [],
    )


def set_section(report: Report) -> Section | None:
    """Show how often prediction sets contain the truth, and how large they are.

    Args:
        report: The report.
    """
    if (sets := report.prediction_sets) is None:
        return None
    rows = [
        (
            name,
            score_text(row["coverage"], row["coverage_interval"]),
            score_text(row["size"], row["size_interval"]),
        )
        for name, row in (
            ("all", sets["overall"]),
            *((row["name"], row) for row in sets["per_class"]),
        )
    ]
    caption = f"{sets['method'].upper()}, calibrated for a coverage of {100 * sets['target']:g} %"
    return Section(
        "Prediction sets", tables=[Table(("images of", "coverage", "size"), rows, caption)]
    )


def curve_section(report: Report) -> Section | None:
    """Show ROC and precision-recall curves; None if the report has no predictions.

    Args:
        report: The report.
    """
    if report.predictions is None:
        return None
    return Section(
        "ROC and precision-recall curves",
        figures=[
            _plot(roc_figure(report), f"ROC curves; the AUC is {digits(report.auc)}."),
            _plot(
                precision_recall_figure(report),
                f"Precision-recall curves; the mean area is {digits(report.average_precision)}.",
            ),
        ],
        remarks=["Each curve is that of one class against all others."],
    )


def confusion_section(report: Report) -> Section:
    """Show the confusion matrix, and the scores of each class as bars.

    Args:
        report: The report.
    """
    return Section(
        "Confusion",
        figures=[
            _plot(
                confusion_figure(report),
                "Confusion matrix: rows are true classes, columns predicted ones.",
            ),
            _plot(per_class_figure(report), "Recall, precision and AUC of each class as bars."),
        ],
    )


def reliability_section(report: Report) -> Section | None:
    """Show the reliability diagram; None if an older version made the report.

    Args:
        report: The report.
    """
    if not report.calibration:
        return None
    alt = f"Reliability diagram; the expected calibration error is {digits(report.ece)}."
    text = "A calibrated model is right as often as it says: its points lie on the dashed line."
    return Section("Reliability", figures=[_plot(reliability_figure(report), alt)], remarks=[text])


def selective_section(report: Report) -> Section | None:
    """Show the risk-coverage curve; None if an older version made the report.

    Args:
        report: The report.
    """
    if not report.risk_coverage:
        return None
    alt = f"Risk-coverage curve; the area below it, AURC, is {digits(report.aurc)}."
    text = "The share of wrong answers if only the most confident ones are given."
    return Section(
        "Answering only when sure",
        figures=[_plot(risk_coverage_figure(report), alt)],
        remarks=[text],
    )


def group_section(report: Report) -> Section | None:
    """Show the scores of each group; None if no groups were given.

    Args:
        report: The report.
    """
    if not report.groups:
        return None
    rows = []
    for group in report.groups:
        cells = [
            score_text(group["scores"][name], group["intervals"].get(name))
            for name in ("auc", "acc", "balanced_acc")
        ]
        rows.append((group["name"] + " *" * group["small"], f"{group['n']:,}", *cells))
    labels = [SCORE_LABELS[name] for name in ("auc", "acc", "balanced_acc")]
    table = Table(("group", "images", *labels), rows, "Each group of images by itself")
    return Section("Groups", tables=[table], remarks=group_remarks(report))


def _plot(figure: Plot, alt: str) -> Figure:
    return Figure([Picture(encoded_figure(figure, "svg"), alt, "image/svg+xml")])
