"""What thresholds of the published binary models, chosen on validation, give on the test split.

All figures are those of the finding: cancer in BreastMNIST, pneumonia in PneumoniaMNIST. Nothing is
chosen by the figures of the test split. Intervals are Wilson's: bootstrap intervals have no width
where a share is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.published.answers import one_thread
from benchmarks.studies.published.answers import trials as all_trials
from benchmarks.studies.study import NamedTrial, Study
from medzoo.datasets import Dataset, Split
from medzoo.inference import Model

if TYPE_CHECKING:
    from scipy.stats._result_classes import BinomTestResult

RECORDS = ResultsFile(RESULTS / "operating_points.json")
FINDINGS = {"breastmnist": "malignant", "pneumoniamnist": "pneumonia"}
SPECIFICITY = 0.9
SCORES = ("Sensitivity", "Specificity", "PPV", "NPV")


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
    header = ("Model", "Finding", "Threshold", "Validation: specificity", *SCORES)
    rows = []
    for name, record in sorted(RECORDS.read().items()):
        for point in record["points"]:
            criterion = f"{point['criterion']}: " if point["criterion"] else ""
            threshold = f"{criterion}{point['threshold']:.3g}"
            specificity = f"{shares(point['val'])['Specificity'].statistic:.3f}"
            cells = [_cell(share) for share in shares(point["test"]).values()]
            rows.append((f"`{name}`", record["finding"], threshold, specificity, *cells))
    return markdown_table(header, rows)


def shares(counts: Mapping[str, int]) -> dict[str, BinomTestResult]:
    """Return sensitivity, specificity, PPV and NPV, each with its interval.

    Args:
        counts: True and false positives and negatives: tp, fp, tn, fn.
    """
    from scipy.stats import binomtest

    tp, fp, tn, fn = (counts[name] for name in ("tp", "fp", "tn", "fn"))
    pairs = ((tp, fn), (tn, fp), (tp, fp), (tn, fn))
    found = (binomtest(right, right + wrong) for right, wrong in pairs)
    return dict(zip(SCORES, found, strict=True))


def _points(name: str, data: Dataset, finding: int) -> list[dict[str, Any]]:
    model = medzoo.create_model(name, pretrained=True)
    choose = partial(medzoo.choose_threshold, model, data.val, device="cpu")
    # A threshold is one of the second class, whose sensitivity is the specificity of the first.
    specific = (
        choose(min_specificity=SPECIFICITY) if finding == 1 else choose(min_sensitivity=SPECIFICITY)
    )
    chosen = {
        f"specificity ≥ {SPECIFICITY:g}": specific.threshold,
        "Youden": choose().threshold,
        "": 0.5,
    }
    points = []
    for criterion, above in chosen.items():
        assert isinstance(above, float)  # both tasks are binary
        points.append(
            {
                "criterion": criterion,
                "threshold": above if finding == 1 else 1 - above,  # of the finding
                "val": _counts(model, data.val, above, finding),
                "test": _counts(model, data.test, above, finding),
            }
        )
    return points


def _counts(model: Model, split: Split, above: float, finding: int) -> dict[str, int]:
    report = medzoo.evaluate(model, split, threshold=above, resamples=0, device="cpu")
    confusion, other = report.confusion, 1 - finding
    return {
        "tp": confusion[finding][finding],
        "fp": confusion[other][finding],
        "tn": confusion[other][other],
        "fn": confusion[finding][other],
    }


def _cell(share: BinomTestResult) -> str:
    low, high = share.proportion_ci(method="wilson")
    return f"{share.statistic:.3f} [{low:.3f}, {high:.3f}]"


def _summary(record: Mapping[str, Any]) -> str:
    points = [(one["criterion"] or "0.5", shares(one["test"])) for one in record["points"]]
    return ", ".join(
        f"{criterion}: sensitivity {found['Sensitivity'].statistic:.3f}, "
        f"specificity {found['Specificity'].statistic:.3f}"
        for criterion, found in points
    )


OPERATING_POINTS = Study(
    name="operating_points",
    description="what thresholds chosen on validation give on the test split",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=_summary,
    of_weights=True,
)
