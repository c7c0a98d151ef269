"""How often prediction sets of the published models contain the truth, and how large they are.

The thresholds are fitted to the validation split, as `medzoo.calibrate` does, and measured on the
test split. The temperature is that of the weights file. Nothing is chosen by these figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.palette import BLUE, ORANGE
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.published.answers import answers, trials
from benchmarks.studies.study import NamedTrial, Study
from medzoo.evaluation import score_sets
from medzoo.inference.conformal import fit_conformal
from medzoo.spec import ConformalMethod

RECORDS = ResultsFile(RESULTS / "coverage.json")
TARGETS = (0.9, 0.95)
METHODS: tuple[ConformalMethod, ...] = ("lac", "aps")


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Fit the sets of one model to its validation split and measure them on its test split.

    Args:
        trial: Its key is the name of the model.
        source: Source of the images.
    """
    data, val, test = answers(trial.key, source)
    info = data.info
    sets = []
    for method in METHODS[:1] if info.multi_label else METHODS:
        for target in TARGETS:
            fitted = fit_conformal(val, data.val, coverage=target, method=method)
            scores = score_sets(fitted, data.test.labels, test, info.task, info.classes)
            rows = [_without_nan(row) for row in scores["per_class"]]
            sets.append({**scores, "fitted_to": fitted.images, "per_class": rows})
    return {
        "title": data.test.title,
        "images": len(data.test),
        "multi_label": info.multi_label,
        "sets": sets,
    }


def least_expected(sets: Mapping[str, Any], images: int) -> float:
    """Return the coverage that chance undercuts once in 40 times, if the guarantee holds.

    It has the chance of both splits: the coverage of thresholds that n images were drawn for has a
    beta distribution, and the number of covered test images is binomial.

    Args:
        sets: The sets of a single-label model, in a record.
        images: Number of test images.
    """
    from scipy.stats import betabinom

    n = sets["fitted_to"]
    rank = math.ceil(round(sets["target"] * (n + 1), 6))
    return float(betabinom.ppf(0.025, images, rank, n + 1 - rank)) / images


def mark(record: Mapping[str, Any], sets: Mapping[str, Any]) -> str:
    """Return the mark of a coverage that is lower than asked for; empty if it is not.

    Args:
        record: The record of a model.
        sets: Its sets of one kind.
    """
    found = sets["overall"]
    if found["coverage_interval"][1] >= sets["target"]:
        return ""
    is_single = not record["multi_label"]
    if is_single and found["coverage"] < least_expected(sets, record["images"]):
        return " ††"
    return " †"


def table(target: float) -> str:
    """Return coverage and size of the sets of all models as a Markdown table.

    Args:
        target: The coverage that was asked for.
    """
    header = ["Model", "Test split"]
    for method in METHODS:
        header += [f"{method.upper()}: coverage", "Set size", "Worst class"]
    rows = []
    for name, record in sorted(RECORDS.read().items()):
        row = [f"`{name}`", f"{record['title']}, {record['images']:,}"]
        by_method = {one["method"]: one for one in record["sets"] if one["target"] == target}
        for method in METHODS:
            row += _cells(record, by_method[method]) if method in by_method else ["-"] * 3
        rows.append(tuple(row))
    return markdown_table(tuple(header), rows)


def plot() -> Figure:
    """Draw the coverage of each model's 90 % sets with its interval."""
    records = dict(sorted(RECORDS.read().items()))
    figure = Figure(figsize=(8, 0.28 * len(records) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, record in enumerate(records.values()):
        sets = next(s for s in record["sets"] if (s["method"], s["target"]) == ("lac", 0.9))
        value, (low, high) = sets["overall"]["coverage"], sets["overall"]["coverage_interval"]
        colour = ORANGE if mark(record, sets) else BLUE
        axes.errorbar(
            [value], [place], xerr=[[value - low], [high - value]], fmt="o", color=colour, capsize=3
        )
    axes.axvline(0.9, color="black", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(records)), list(records))
    axes.invert_yaxis()
    axes.set_xlabel("share of test images whose class is in the 90 % set, with 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _cells(record: Mapping[str, Any], sets: Mapping[str, Any]) -> list[str]:
    found = sets["overall"]
    worst = min(
        (row for row in sets["per_class"] if row["coverage"] is not None),
        key=lambda row: row["coverage"],
    )
    size = _interval(found["size"], found["size_interval"], "{:.2f}")
    return [
        _interval(found["coverage"], found["coverage_interval"]) + mark(record, sets),
        size,
        f"{worst['name']}: {worst['coverage']:.3f}",
    ]


def _interval(value: float, bounds: tuple[float, float], shape: str = "{:.3f}") -> str:
    low, high = map(shape.format, bounds)
    return f"{shape.format(value)} [{low}, {high}]"


def _without_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a class; None for all if there are no test images of it."""
    is_absent = math.isnan(row["coverage"])
    return {name: None if is_absent and name != "name" else value for name, value in row.items()}


def _summary(record: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{one['method']} {one['target']:g}: {one['overall']['coverage']:.3f}"
        f" ({one['overall']['size']:.2f} classes)"
        for one in record["sets"]
    )


COVERAGE = Study(
    name="coverage",
    description="how often prediction sets of the published models contain the truth",
    results=RECORDS,
    trials=trials,
    run=run,
    table=lambda: "\n\n".join(map(table, TARGETS)),
    summary=_summary,
    of_weights=True,
)
