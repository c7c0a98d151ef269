"""A report as text: the overall scores, the groups, and a table of the classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from medzoo.escape import for_display
from medzoo.evaluation.groups import SMALL_GROUP
from medzoo.evaluation.intervals import Interval
from medzoo.evaluation.metrics import is_multi_label

if TYPE_CHECKING:
    from medzoo.evaluation.coverage import SetScores
    from medzoo.evaluation.report import Report

ScoreRow: TypeAlias = "tuple[str, float, Interval | None]"
SCORE_LABELS = {
    "auc": "AUC",
    "average_precision": "PR-AUC",
    "acc": "ACC",
    "exact_match": "exact match",
    "macro_f1": "macro F1",
    "balanced_acc": "balanced ACC",
    "kappa": "kappa",
    "mcc": "MCC",
    "ece": "ECE",
    "aurc": "AURC",
    "e_aurc": "E-AURC",
}
"""The overall scores in the order in which they are reported."""
_LATER = {"average_precision", "kappa", "mcc", "aurc", "e_aurc"}
"""Scores that reports of earlier versions lack."""
_OPERATING_POINT = {
    "recall": "sensitivity",
    "specificity": "specificity",
    "precision": "PPV",
    "npv": "NPV",
}
_COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "npv": "NPV",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "PR-AUC",
}
_LATER_COLUMNS = {"specificity", "npv", "average_precision"}


def report_text(report: Report) -> str:
    """Return what `print` shows of a report.

    Args:
        report: The report.
    """
    lines = [f"{for_display(report.title)}, {report.split} split: {size_of(report)}", ""]
    lines += [_score(*row) for row in overall_rows(report)]
    if decisions := decision_rows(report):
        name = for_display(report.per_class[-1]["name"])
        lines += ["", f"  Decisions for {name}:", *(_score(*row) for row in decisions)]
    lines += ["", *remarks(report), "", *_classes(report)]
    unit = "labels" if is_multi_label(report.task) else "classes"
    if any(math.isnan(row["auc"]) for row in report.per_class):
        lines += ["", f"-: not defined for this split; left out of the means over {unit}."]
    if report.prediction_sets:
        lines += ["", *_sets(report.prediction_sets, unit)]
    if report.groups:
        lines += ["", *_groups(report), "", *group_remarks(report)]
    return "\n".join(lines)


def size_of(report: Report) -> str:
    """Return in words how many images and classes a report is about.

    Args:
        report: The report.
    """
    unit = "labels" if is_multi_label(report.task) else "classes"
    return f"{report.n:,} images, {len(report.per_class)} {unit} ({report.task})"


def overall_rows(report: Report) -> list[ScoreRow]:
    """Return the overall scores that are shown: name, value and interval.

    Args:
        report: The report.
    """
    rows = []
    for name, label in SCORE_LABELS.items():
        if name == "exact_match" and not is_multi_label(report.task):
            continue  # it is the ACC once more
        value = getattr(report, name)
        if name in _LATER and math.isnan(value) and name not in report.intervals:
            continue
        rows.append((label, value, report.intervals.get(name)))
    return rows


def decision_rows(report: Report) -> list[ScoreRow]:
    """Return the scores of the decisions for the second class of a binary task, else none.

    Args:
        report: The report.
    """
    point: Mapping[str, Any] = report.per_class[-1]
    if report.task != "binary-class" or math.isnan(point["specificity"]):
        return []
    rows = []
    for name, label in _OPERATING_POINT.items():
        bounds = report.class_intervals.get(name)
        rows.append((label, point[name], bounds[-1] if bounds else None))
    return rows


def score_text(value: float, bounds: Interval | None) -> str:
    """Return a score with its interval, if it has one.

    Args:
        value: The score.
        bounds: Its interval.
    """
    shown = digits(value)
    return f"{shown}  [{digits(bounds[0])}, {digits(bounds[1])}]" if bounds else shown


def _score(label: str, value: float, bounds: Interval | None) -> str:
    return f"  {label:<13}{score_text(value, bounds)}"


def remarks(report: Report) -> list[str]:
    """Return sentences on how the scores are to be read.

    Args:
        report: The report.
    """
    multi_label = is_multi_label(report.task)
    measure = "exact match" if multi_label else "ACC"
    lines = [f"Always giving the most frequent answer: {measure} {digits(report.majority)}."]
    if multi_label:
        at = " at 0.5" if report.threshold is None else ""
        lines.append(f"ACC is the mean over labels of the share of right decisions{at}.")
    if isinstance(report.threshold, list):
        pairs = zip(report.per_class, report.threshold, strict=True)
        each = ", ".join(f"{for_display(row['name'])} {value:.3g}" for row, value in pairs)
        lines.append(f"Labels were decided for above the probability: {each}.")
    elif report.threshold is not None:
        what = "Labels were" if multi_label else f"{for_display(report.per_class[-1]['name'])} was"
        lines.append(f"{what} decided for above the probability {report.threshold:.3g}.")
    if report.task == "ordinal-regression" and not math.isnan(report.kappa):
        lines.append("Kappa has quadratic weights, because the classes are grades.")
    if unknown := _unknown(report, multi_label):
        share = unknown / (report.n * len(report.per_class))
        lines.append(
            f"{unknown:,} labels ({share:.1%}) are unknown and left out; exact match is that "
            "of images of which every label is known."
        )
    if report.tta != "none":
        lines.append(f"Probabilities are means over the views of each image ({report.tta}).")
    if report.temperature != 1.0:
        lines.append(f"Logits were divided by the temperature {report.temperature:.3g}.")
    if report.intervals:
        lines.append(
            f"In brackets: 95 % bootstrap intervals, {report.resamples:,} resamples of the "
            f"images, seed {report.seed}."
        )
    return lines


def _groups(report: Report) -> list[str]:
    names = [for_display(group["name"]) + " *" * group["small"] for group in report.groups]
    width = max(len("group"), *map(len, names))
    bounds = 24 if report.intervals else 9
    lines = [f"  {'group':<{width}}   images  {'AUC':<{bounds}}ACC"]
    for name, group in zip(names, report.groups, strict=True):
        cells = []
        for score in ("auc", "acc"):
            cell = score_text(group["scores"][score], group["intervals"].get(score))
            cells.append(f"{cell:<{bounds}}")
        lines.append(f"  {name:<{width}}  {group['n']:>7,}  {''.join(cells)}".rstrip())
    return lines


def group_remarks(report: Report) -> list[str]:
    """Return sentences on how the scores of the groups are to be read.

    Args:
        report: A report with groups.
    """
    lines = []
    for score in ("auc", "acc"):
        worst, gap = report.worst_group(score), report.largest_gap(score)
        if worst and not math.isnan(gap):
            lines.append(
                f"Worst {SCORE_LABELS[score]}: {for_display(worst['name'])}; largest gap between "
                f"groups: {digits(gap)}."
            )
    if any(group["small"] for group in report.groups):
        lines.append(f"*: small, below {SMALL_GROUP} images; left out of worst and gap.")
    lacking = [for_display(group["name"]) for group in report.groups if group["absent"]]
    if lacking:
        lines.append(
            f"Groups that lack a class, so that means over classes cannot be compared with those "
            f"of others: {', '.join(lacking)}. -: not defined."
        )
    return lines


def _sets(sets: SetScores, unit: str) -> list[str]:
    rows = [sets["overall"], *sets["per_class"]]
    names = [f"all {unit}", *(for_display(row["name"]) for row in sets["per_class"])]
    width = max(map(len, names))
    bounds = 24 if sets["overall"]["coverage_interval"] else 10
    lines = [
        f"Prediction sets ({sets['method'].upper()}), calibrated for a coverage of "
        f"{100 * sets['target']:g} %:",
        f"  {'':<{width}}  {'coverage':<{bounds}}size",
    ]
    for name, row in zip(names, rows, strict=True):
        figures = (row["coverage"], row["coverage_interval"]), (row["size"], row["size_interval"])
        cells = [
            f"{digits(value)}  [{digits(between[0])}, {digits(between[1])}]"
            if between
            else digits(value)
            for value, between in figures
        ]
        lines.append(f"  {name:<{width}}  {cells[0]:<{bounds}}{cells[1]}")
    return lines


def _unknown(report: Report, multi_label: bool) -> int:
    """Number of unknown labels, which no confusion matrix counts."""
    if not multi_label:
        return 0
    known = sum(sum(map(sum, matrix)) for matrix in report.confusion)
    return report.n * len(report.per_class) - known


def class_columns(report: Report) -> dict[str, str]:
    """Return the names and titles of the scores of the classes that are shown.

    Args:
        report: The report.
    """
    rows: Sequence[Mapping[str, Any]] = report.per_class
    return {
        name: label
        for name, label in _COLUMNS.items()
        if name not in _LATER_COLUMNS or not all(math.isnan(row[name]) for row in rows)
    }


def _classes(report: Report) -> list[str]:
    rows: Sequence[Mapping[str, Any]] = report.per_class
    names = [for_display(row["name"]) for row in rows]
    width = max(len("label"), *map(len, names))
    measured = class_columns(report)
    wide = {name: max(len(label), 5) for name, label in measured.items()}
    heading = "label" if is_multi_label(report.task) else "class"
    titles = "  ".join(f"{label:>{wide[name]}}" for name, label in measured.items())
    lines = [f"  {heading:<{width}}  {titles}  support"]
    for name, row in zip(names, rows, strict=True):
        cells = "  ".join(f"{digits(row[score]):>{wide[score]}}" for score in measured)
        lines.append(f"  {name:<{width}}  {cells}  {row['support']:>7,}")
    return lines


def digits(value: float) -> str:
    """Return a score with three digits; NaN as a dash."""
    return "-" if math.isnan(value) else f"{value:.3f}"
