"""What thresholds of the published binary models, chosen on validation, give on the test split.

All figures are those of the finding: cancer in BreastMNIST, pneumonia in PneumoniaMNIST. Nothing is
chosen by the figures of the test split.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.published.answers import one_thread
from benchmarks.studies.published.answers import trials as all_trials
from benchmarks.studies.study import NamedTrial, Study
from medzoo.datasets import Dataset
from medzoo.evaluation.operating_points import ThresholdLike

RECORDS = ResultsFile(RESULTS / "operating_points.json")
FINDINGS = {"breastmnist": "malignant", "pneumoniamnist": "pneumonia"}
SPECIFICITY = 0.9
SCORES = {"recall": "Sensitivity", "specificity": "Specificity", "precision": "PPV", "npv": "NPV"}


def trials() -> list[NamedTrial]:
    """Return one trial per published binary classifier for 28 px."""
    return [one for one in all_trials() if one.key.partition(".")[2] in FINDINGS]


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Choose thresholds of one model on its validation split and measure them on its test split.

    Args:
        trial: Its key is the name of the model.
        source: Source of the images.
    """
    dataset = trial.key.partition(".")[2]
    data, finding = source.load(dataset), FINDINGS[dataset]
    with one_thread():
        points = _points(trial.key, data, data.info.classes.index(finding))
    return {
        "title": data.test.title,
        "finding": finding,
        "images": {split.name: len(split) for split in (data.val, data.test)},
        "points": points,
    }


def table() -> str:
    """Return what each threshold gives on the validation and the test split of each model."""
    header = ("Model", "Finding", "Threshold", "Validation: specificity", *SCORES.values())
    rows = []
    for name, record in sorted(RECORDS.read().items()):
        for point in record["points"]:
            cells = [_cell(point, score) for score in SCORES]
            threshold = f"{point['criterion']}: {point['threshold']:.3f}"
            if point["criterion"] == "fixed":
                threshold = f"{point['threshold']:g}"
            validation = f"{point['val']['specificity']:.3f}"
            rows.append((f"`{name}`", record["finding"], threshold, validation, *cells))
    return markdown_table(header, rows)


def _points(name: str, data: Dataset, finding: int) -> list[dict[str, Any]]:
    model = medzoo.create_model(name, pretrained=True)
    # A threshold is one of the second class, whose sensitivity is the specificity of the first.
    minimum = "min_specificity" if finding == 1 else "min_sensitivity"
    specific = medzoo.choose_threshold(model, data.val, device="cpu", **{minimum: SPECIFICITY})
    chosen: dict[str, ThresholdLike] = {
        f"specificity ≥ {SPECIFICITY:g}": specific,
        "Youden": medzoo.choose_threshold(model, data.val, device="cpu"),
        "fixed": 0.5,
    }
    points = []
    for criterion, point in chosen.items():
        test = medzoo.evaluate(model, data.test, threshold=point, device="cpu")
        above = test.threshold
        val = medzoo.evaluate(model, data.val, threshold=above, resamples=0, device="cpu")
        points.append(
            {
                "criterion": criterion,
                "threshold": above if finding == 1 else 1 - above,  # of the finding
                "val": {score: val.per_class[finding][score] for score in SCORES},
                "test": {score: test.per_class[finding][score] for score in SCORES},
                "intervals": {score: test.class_intervals[score][finding] for score in SCORES},
            }
        )
    return points


def _cell(point: Mapping[str, Any], score: str) -> str:
    low, high = point["intervals"][score]
    return f"{point['test'][score]:.3f} [{low:.3f}, {high:.3f}]"


def _summary(record: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{one['criterion']}: sensitivity {one['test']['recall']:.3f}, "
        f"specificity {one['test']['specificity']:.3f}"
        for one in record["points"]
    )


OPERATING_POINTS = Study(
    name="operating_points",
    description="what thresholds chosen on validation give on the test split",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=_summary,
)
