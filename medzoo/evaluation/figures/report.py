"""Figures of a report: what it shows as plots, in PNG files and on pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medzoo.escape import for_display
from medzoo.evaluation.figures.figure import BLUE, GRAY, GREEN, ORANGE, column, new_figure, wrapped
from medzoo.evaluation.metrics import ScoredPredictions, is_multi_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medzoo.evaluation.report import Report

_COLOURS = (BLUE, ORANGE, GREEN, "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#B8A800")
_LINES = ("-", "--", ":")
_CURVES = len(_COLOURS) * len(_LINES)
"""Curves that can be told apart; of more classes, those with the lowest areas are drawn."""


def confusion_figure(report: Report) -> Figure:
    """Draw the confusion matrix: counts printed, colours the share of the row (the recall).

    For multi-label tasks there is one small matrix per label.

    Args:
        report: What `evaluate` returned.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    names = [row["name"] for row in report.per_class]
    if is_multi_label(report.task):
        columns = min(5, len(names))
        rows = math.ceil(len(names) / columns)
        figure = new_figure(2.1 * columns + 0.3, 2.2 * rows + 0.6)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, name, counts in zip(panels, names, report.confusion, strict=False):
            _draw_matrix(axes, np.array(counts), ["no", "yes"], ["no", "yes"])
            axes.set_title(wrapped(name, 20), fontsize=9)
        for axes in panels[len(names) :]:
            axes.set_axis_off()
        figure.supxlabel("predicted (colour: share of the row)", fontsize=10)
        figure.supylabel("true", fontsize=10)
    else:
        side = 0.78 * len(names)
        figure = new_figure(side + 3.6, side + 2.4)
        axes = figure.subplots()
        _draw_matrix(axes, np.array(report.confusion), names, names)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        figure.colorbar(
            axes.images[0], ax=axes, shrink=0.8, label="share of the true class"
        ).outline.set_visible(False)
    figure.suptitle(_heading(report, f"ACC {report.acc:.3f}"))
    return figure


def per_class_figure(report: Report) -> Figure:
    """Draw recall, precision and AUC of each class as bars, with the number of images.

    Args:
        report: What `evaluate` returned.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    rows = report.per_class
    figure = new_figure(8, 0.62 * len(rows) + 1.6)
    axes = figure.subplots()
    places = np.arange(len(rows))
    height = 0.26
    drawn = (("recall", BLUE), ("precision", ORANGE), ("auc", GREEN))
    for offset, (key, color) in enumerate(drawn):
        values = column(rows, key)
        label = "AUC" if key == "auc" else key
        bars = axes.barh(
            places + (offset - 1) * height,
            np.nan_to_num(values),
            height,
            color=color,
            label=label,
        )
        axes.bar_label(
            bars,
            labels=["n/a" if math.isnan(value) else f"{value:.2f}" for value in values],
            padding=2,
            fontsize=7,
            color="0.25",
        )
    ticks = [f"{wrapped(row['name'], 32)}\n(n = {row['support']:,})" for row in rows]
    axes.set_yticks(places, ticks, fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.06)
    axes.spines["bottom"].set_bounds(0, 1)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_xlabel("score")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    figure.suptitle(_heading(report, f"AUC {report.auc:.3f}"))
    return figure


def reliability_figure(report: Report) -> Figure:
    """Draw how often answers are right against how sure the model is of them.

    On the dashed line a model is as sure as it is right; below it, it is too sure. The distances,
    weighted by the number of decisions (the lower panel), are the expected calibration error.

    Args:
        report: What `evaluate` returned.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no bins, since an older version made it.
    """
    if not report.calibration:
        raise ValueError(
            "the report has no calibration bins; evaluate the model once more to get them"
        )
    confidence, accuracy, count = (
        column(report.calibration, key) for key in ("confidence", "accuracy", "count")
    )
    figure = new_figure(4.6, 5.2)
    reliability, amounts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    reliability.plot((0, 1), (0, 1), color=GRAY, linestyle="--", linewidth=1)
    reliability.vlines(confidence, accuracy, confidence, color=ORANGE, linewidth=3, label="gap")
    reliability.plot(confidence, accuracy, "o", color=BLUE, markersize=5, label="measured")
    amounts.bar(confidence, count / count.sum(), width=0.03, color=BLUE)
    reliability.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of right answers")
    amounts.set(xlabel="probability of the answer", ylabel="share of\nanswers")
    reliability.grid(alpha=0.25)
    reliability.legend(frameon=False, loc="upper left")
    return _framed(figure, report, f"ECE {report.ece:.3f}")


def risk_coverage_figure(report: Report) -> Figure:
    """Draw how many answers are wrong if the model gives only those it is most confident of.

    The area below the curve is AURC. The dashed line is the risk if all images are answered, which
    is also that of answering at random.

    Args:
        report: What `evaluate` returned.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no curve, since an older version made it.
    """
    if not report.risk_coverage:
        raise ValueError(
            "the report has no risk-coverage curve; evaluate the model once more to get it"
        )
    coverage, risk = (column(report.risk_coverage, key) for key in ("coverage", "risk"))
    figure = new_figure(5.2, 4)
    axes = figure.subplots()
    axes.axhline(risk[-1], color=GRAY, linestyle="--", linewidth=1)
    axes.plot(coverage, risk, color=BLUE, marker="o" if len(risk) < 10 else None, markersize=4)
    axes.fill_between(coverage, risk, color=BLUE, alpha=0.12, linewidth=0)
    wrong = "wrong decisions" if is_multi_label(report.task) else "wrong answers"
    axes.set(xlim=(0, 1), xlabel="coverage (share of images answered)", ylabel=f"share of {wrong}")
    axes.set_ylim(0, max(1.1 * risk.max(), 0.01))
    axes.grid(alpha=0.25)
    return _framed(figure, report, f"AURC {report.aurc:.3f}, E-AURC {report.e_aurc:.3f}")


def roc_figure(report: Report) -> Figure:
    """Draw the ROC curve of each class against all others; of binary tasks, of the second class.

    Args:
        report: What `evaluate` returned.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no predictions, since it was read from a file.
    """
    from sklearn.metrics import roc_curve

    figure = new_figure(5.2, 5)
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=GRAY, linestyle="--", linewidth=1)
    for label, truth, scores, style in _curves(report, "auc", "AUC"):
        false, true, _ = roc_curve(truth, scores)
        axes.plot(false, true, label=label, **style)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity")
    return _of_curves(figure, report, f"AUC {report.auc:.3f}")


def precision_recall_figure(report: Report) -> Figure:
    """Draw the precision-recall curve of each class; of binary tasks, of the second class.

    Args:
        report: What `evaluate` returned.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no predictions, since it was read from a file.
    """
    from sklearn.metrics import precision_recall_curve

    figure = new_figure(5.2, 5)
    axes = figure.subplots()
    for label, truth, scores, style in _curves(report, "average_precision", "area"):
        precision, recall, _ = precision_recall_curve(truth, scores)
        axes.step(recall, precision, where="post", label=label, **style)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (PPV)")
    return _of_curves(figure, report, f"PR-AUC {report.average_precision:.3f}")


def _curves(
    report: Report, score: Literal["auc", "average_precision"], area: str
) -> Iterator[tuple[str, np.ndarray, np.ndarray, dict[str, Any]]]:
    """Yield label, truth, scores and style of each curve; classes without an area have none."""
    data = predictions_of(report)
    drawn = [k for k in range(len(report.per_class))[data.auc_classes] if _has_both(data, k)]
    if len(drawn) > _CURVES:
        drawn = sorted(sorted(drawn, key=lambda k: report.per_class[k][score])[:_CURVES])
    for number, k in enumerate(drawn):
        row, known = report.per_class[k], data.known[:, k]
        line, colour = divmod(number, len(_COLOURS))
        style = {"color": _COLOURS[colour], "linestyle": _LINES[line], "linewidth": 1.4}
        label = f"{wrapped(row['name'], 30)} ({area} {row[score]:.3f})"
        yield label, data.truth[known, k], data.scores[known, k], style


def _has_both(data: ScoredPredictions, k: int) -> bool:
    truth = data.truth[data.known[:, k], k]
    return bool(truth.any() and not truth.all())


def predictions_of(report: Report) -> ScoredPredictions:
    """Return the predictions behind a report.

    Args:
        report: The report.

    Raises:
        ValueError: If it was read from a file, which holds no predictions.
    """
    if report.predictions is None:
        raise ValueError(
            "the report was read from a file, which holds scores but no predictions; evaluate the "
            "model once more to get its curves and errors"
        )
    return report.predictions


def _of_curves(figure: Figure, report: Report, scores: str) -> Figure:
    (axes,) = figure.axes
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.grid(alpha=0.25)
    if curves := axes.get_legend_handles_labels()[0]:
        height = 0.22 * len(curves) * (1 if len(curves) < 3 else 1.1)
        figure.set_size_inches(5.2, 5 + height)
        figure.legend(loc="outside lower center", frameon=False, fontsize=8)
    return _framed(figure, report, scores)


def _framed(figure: Figure, report: Report, scores: str) -> Figure:
    """Finish a small figure: no frame, and a title that says what was measured, and how well."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    data = wrapped(f"{report.title}, {report.split} split", 48)
    figure.suptitle(f"{data}\nn = {report.n:,}, {scores}", fontsize=10)
    return figure


def _draw_matrix(
    axes: Axes, counts: np.ndarray, row_names: Sequence[str], column_names: Sequence[str]
) -> None:
    """Colour a matrix by the share of each row and print its counts."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, place), share in np.ndenumerate(shares):
        color = "white" if share > 0.55 else "black"
        text = f"{counts[row, place]:,}"
        axes.text(place, row, text, ha="center", va="center", color=color, fontsize=8)
    long = max(len(name) for name in column_names) > 4
    axes.set_xticks(
        range(len(column_names)),
        [wrapped(name, 24) for name in column_names],
        fontsize=8,
        rotation=40 if long else 0,
        ha="right" if long else "center",
        rotation_mode="anchor" if long else "default",
    )
    axes.set_yticks(range(len(row_names)), [wrapped(name, 24) for name in row_names], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _heading(report: Report, score: str) -> str:
    return f"{for_display(report.title)}, {report.split} split, n = {report.n:,}, {score}"
