"""Figures of a training run, of a report, and of measured against reported accuracy.

Every function writes one PNG.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.evaluation.figures.figure import (
    BLUE,
    GRAY,
    ORANGE,
    PathLike,
    column,
    new_figure,
    save_figure,
    wrapped,
)
from medzoo.evaluation.figures.report import (
    confusion_figure,
    per_class_figure,
    precision_recall_figure,
    reliability_figure,
    risk_coverage_figure,
    roc_figure,
)

if TYPE_CHECKING:
    from medzoo.evaluation.report import Report


def plot_history(history: Sequence[Mapping[str, Any]], path: PathLike, *, title: str = "") -> Path:
    """Draw the loss and the validation scores of a training run, epoch by epoch.

    Of a run that was validated once, scores are no curve: they are written above the losses.

    Args:
        history: One row per epoch with ``epoch``, ``loss``, and as far as measured ``val_loss``,
            ``val_auc`` and ``val_acc``; epochs where one is missing or None are skipped.
        path: The PNG to write; its folder is made when it does not exist.
        title: What was trained on what, with its provenance.

    Returns:
        The path written.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the history is empty.
    """
    if not history:
        raise ValueError("the history has no epochs to plot")
    epochs, aucs, accs = (column(history, key) for key in ("epoch", "val_auc", "val_acc"))
    validated = np.flatnonzero(~np.isnan(aucs) | ~np.isnan(accs))
    curves = {
        "loss": [("loss", "training loss", BLUE), ("val_loss", "validation loss", ORANGE)],
        "score": [("val_auc", "validation AUC", BLUE), ("val_acc", "validation ACC", ORANGE)],
    }
    if len(validated) < 2:
        del curves["score"]
    figure = new_figure(4.5 * len(curves), 3.6)
    panels = dict(zip(curves, figure.subplots(1, len(curves), squeeze=False)[0], strict=True))
    for ylabel, axes in panels.items():
        for key, label, color in curves[ylabel]:
            values = column(history, key)
            measured = ~np.isnan(values)
            if measured.any():
                axes.plot(
                    epochs[measured],
                    values[measured],
                    color=color,
                    linestyle="-" if measured.sum() > 1 else "",
                    marker="o" if measured.sum() <= 30 else None,
                    markersize=6 if measured.sum() == 1 else 3.5,
                    label=label,
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel(ylabel)
        axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.25)
        if axes.lines:
            axes.legend(frameon=False)
    if "score" not in panels:
        for row in validated:
            measured_scores = {"AUC": aucs[row], "ACC": accs[row]}
            text = [f"{n} {v:.3f}" for n, v in measured_scores.items() if not np.isnan(v)]
            panels["loss"].set_title(
                f"validated after epoch {epochs[row]:g}: {', '.join(text)}", fontsize=9, color="0.3"
            )
    elif not np.isnan(aucs).all():
        best = int(np.nanargmax(aucs))
        panels["score"].axvline(epochs[best], color=GRAY, linestyle=":", linewidth=1)
        panels["score"].set_title(
            f"best AUC {aucs[best]:.3f}, epoch {epochs[best]:g}", fontsize=9, color="0.3"
        )
    if title:
        figure.suptitle(title)
    return save_figure(figure, path)


def plot_confusion(report: Report, path: PathLike) -> Path:
    """Draw the confusion matrix: counts printed, colours the share of the row (the recall).

    For multi-label tasks there is one small matrix per label.

    Args:
        report: What `evaluate` returned.
        path: The PNG to write; its folder is made when it does not exist.

    Returns:
        The path written.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    return save_figure(confusion_figure(report), path)


def plot_per_class(report: Report, path: PathLike) -> Path:
    """Draw recall, precision and AUC of each class as bars, with the number of images.

    Args:
        report: What `evaluate` returned.
        path: The PNG to write; its folder is made when it does not exist.

    Returns:
        The path written.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    return save_figure(per_class_figure(report), path)


def plot_reliability(report: Report, path: PathLike) -> Path:
    """Draw how often answers are right against how sure the model is of them.

    On the dashed line a model is as sure as it is right; below it, it is too sure. The distances,
    weighted by the number of decisions (the lower panel), are the expected calibration error.

    Args:
        report: What `evaluate` returned.
        path: The PNG to write; its folder is made when it does not exist.

    Returns:
        The path written.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no bins, since an older version made it.
    """
    return save_figure(reliability_figure(report), path)


def plot_risk_coverage(report: Report, path: PathLike) -> Path:
    """Draw how many answers are wrong if the model gives only those it is most confident of.

    The area below the curve is AURC. The dashed line is the risk if all images are answered, which
    is also that of answering at random.

    Args:
        report: What `evaluate` returned.
        path: The PNG to write; its folder is made when it does not exist.

    Returns:
        The path written.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no curve, since an older version made it.
    """
    return save_figure(risk_coverage_figure(report), path)


def plot_roc(report: Report, path: PathLike) -> Path:
    """Draw the ROC curve of each class against all others; of binary tasks, of the second class.

    Args:
        report: What `evaluate` returned.
        path: The PNG to write; its folder is made when it does not exist.

    Returns:
        The path written.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no predictions, since it was read from a file.
    """
    return save_figure(roc_figure(report), path)


def plot_precision_recall(report: Report, path: PathLike) -> Path:
    """Draw the precision-recall curve of each class; of binary tasks, of the second class.

    Args:
        report: What `evaluate` returned.
        path: The PNG to write; its folder is made when it does not exist.

    Returns:
        The path written.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no predictions, since it was read from a file.
    """
    return save_figure(precision_recall_figure(report), path)


def plot_comparison(
    rows: Sequence[Mapping[str, Any]],
    path: PathLike,
    *,
    title: str = "Reported and measured test accuracy",
) -> Path:
    """Draw reported against measured accuracy, with the intervals of the measured ones.

    Args:
        rows: One comparison each: ``label`` (say the provenance in it), ``reported``,
            ``measured`` and ``interval`` as ``(low, high)``; figures are shares in [0, 1], and
            any of them may be None where there is none.
        path: The PNG to write; its folder is made when it does not exist.
        title: Title of the figure.

    Returns:
        The path written.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no rows, or a figure lies outside [0, 1].
    """
    if not rows:
        raise ValueError("there are no rows to compare")
    reported, measured = column(rows, "reported"), column(rows, "measured")
    bounds = np.array([row.get("interval") or (math.nan, math.nan) for row in rows], dtype=float)
    for value in [*reported, *measured, *bounds.ravel()]:
        if not (math.isnan(value) or 0 <= value <= 1):
            raise ValueError(f"{value:g} is not a share in [0, 1]; give 73.77 % as 0.7377")

    figure = new_figure(8.5, 0.75 * len(rows) + 1.6)
    axes = figure.subplots()
    places = np.arange(len(rows))
    height = 0.36
    drawn = ((reported, "reported", GRAY, -0.5), (measured, "measured", BLUE, 0.5))
    for values, label, color, side in drawn:
        where = places + side * height
        axes.barh(where, 100 * values, height, color=color, label=label)
        for k, (value, place) in enumerate(zip(values, where, strict=True)):
            text, end = f"{100 * value:.1f} %", 100 * value
            if math.isnan(value):
                text, end = f"not {label}", 0.0
            elif label == "measured" and not math.isnan(bounds[k, 1]):
                end = max(end, 100 * bounds[k, 1])
            axes.text(end + 1, place, text, va="center", fontsize=8, color="0.25")
    # Drawn as lines, not as error bars: a percentile interval need not contain its point.
    bounded = ~np.isnan(bounds).any(axis=1) & ~np.isnan(measured)
    if bounded.any():
        axes.hlines(
            (places + 0.5 * height)[bounded],
            *(100 * bounds[bounded]).T,
            color="black",
            linewidth=1.6,
            label="95 % interval",
        )
        axes.plot(
            100 * bounds[bounded],
            np.repeat((places + 0.5 * height)[bounded, None], 2, axis=1),
            "|",
            color="black",
            markersize=7,
        )
    axes.set_yticks(places, [wrapped(str(row["label"]), 34) for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 112)
    axes.spines["bottom"].set_bounds(0, 100)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("accuracy [%]")
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    bars_first = sorted(range(len(handles)), key=lambda k: labels[k] == "95 % interval")
    axes.legend(
        [handles[k] for k in bars_first],
        [labels[k] for k in bars_first],
        frameon=False,
        ncols=3,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderpad=0,
    )
    figure.suptitle(title)
    return save_figure(figure, path)
