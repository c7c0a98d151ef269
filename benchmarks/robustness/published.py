"""The published models on damaged images of the test split.

Thresholds of binary and multi-label models are those with the best balanced accuracy on the
validation split, as in MedMNIST-C. Of larger test splits, `IMAGES` images are used, evenly spaced.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.palette import BLUE, GREEN, ORANGE, SKY, YELLOW
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.published.answers import one_thread
from benchmarks.studies.study import NamedTrial, Study
from medzoo.images.corruptions import FAMILIES
from medzoo.weights import weights_index

RECORDS = ResultsFile(RESULTS / "robustness.json")
IMAGES = 200
"""Images per test split at most."""
HEADER = ("Model", "Images", "Balanced error", "Damaged", *FAMILIES, "BE", "rBE")
_MULTI_LABEL_OR_BINARY = ("binary-class", "multi-label, binary-class")


def trials() -> list[NamedTrial]:
    """Return the published models: those of small images first, and of these, small networks."""
    architectures = ("simple_cnn", "efficientnet", "advanced_cnn", "attention_unet")
    index = weights_index()
    ranked = sorted(
        (name for name in index if index[name].spec.dataset),  # not a backbone
        key=lambda name: (
            index[name].spec.input.size,
            architectures.index(name.partition(".")[0]),
        ),
    )
    return list(map(NamedTrial, ranked))


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Evaluate a model on damaged images and return its record.

    Args:
        trial: Its key names a published checkpoint.
        source: Source of the images.
    """
    data = source.load(trial.key.partition(".")[2])
    model = medzoo.create_model(trial.key, pretrained=True)
    test, threshold = data.test, None
    if len(test) > IMAGES:
        test = test.subset(np.linspace(0, len(test) - 1, IMAGES).round().astype(int))
    if data.info.task in _MULTI_LABEL_OR_BINARY:
        threshold = medzoo.choose_threshold(model, data.val, device="cpu")
    with one_thread():
        report = medzoo.evaluate_robustness(model, test, threshold=threshold, device="cpu")
    return {"report": report.to_dict()}


def is_current(record: Mapping[str, Any], trial: NamedTrial, source: Source) -> bool:
    """Return whether a record is of as many images.

    Args:
        record: An earlier record.
        trial: Not used.
        source: Not used: data sets do not change.
    """
    return record["report"]["n"] <= IMAGES


def table() -> str:
    """Return the errors of all models, the mean of each family of corruptions in a column."""
    rows = []
    for name, record in sorted(RECORDS.read().items(), key=lambda item: item[0].split(".")[::-1]):
        report = record["report"]
        low, high = report["intervals"]["error"]
        means = family_means(report)
        rows.append(
            [
                f"`{name}`",
                str(report["n"]),
                _percent(report["clean"]),
                f"{_percent(report['error'])} ({_percent(low)} to {_percent(high)})",
                *(_percent(means[family]) if family in means else "-" for family in FAMILIES),
                f"{report['be']:.2f}",
                f"{report['rbe']:.2f}",
            ]
        )
    return markdown_table(HEADER, rows)


def family_means(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean error of each family of corruptions.

    Args:
        report: What `RobustnessReport.to_dict` returns.
    """
    by_family = itertools.groupby(report["corruptions"], key=lambda row: row["family"])
    return {family: float(np.mean([row["error"] for row in rows])) for family, rows in by_family}


def plot() -> Figure:
    """Draw how much each family of corruptions adds to the error of each model."""
    records = sorted(RECORDS.read().items(), key=lambda item: item[0].split(".")[::-1])
    figure = Figure(figsize=(9, 0.32 * len(records) + 1.2), layout="constrained")
    axis = figure.subplots()
    for family, colour in zip(FAMILIES, (BLUE, ORANGE, GREEN, SKY, YELLOW), strict=True):
        points = [
            (100 * (means[family] - record["report"]["clean"]), place)
            for place, (_, record) in enumerate(records)
            if family in (means := family_means(record["report"]))
        ]
        increases, places = zip(*points, strict=True)
        axis.scatter(increases, places, color=colour, label=family, s=28)
    axis.axvline(0, color="0.7", linewidth=1)
    axis.set_yticks(range(len(records)), [name for name, _ in records])
    axis.invert_yaxis()
    axis.set_xlabel("increase of the balanced error by damage, in points")
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(FAMILIES), frameon=False)
    return figure


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


ROBUSTNESS = Study(
    name="robustness",
    description="published models on damaged images",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: (
        f"balanced error {record['report']['clean']:.3f}, damaged {record['report']['error']:.3f}"
    ),
    is_current=is_current,
    of_weights=True,
)
