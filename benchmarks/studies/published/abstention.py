"""How much the published models answer if they are told how often they may be wrong.

The bounds are computed from the validation split, as `medzoo.calibrate` does, and measured on the
test split. Nothing is chosen by these figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.reporting.format import markdown_table, percent
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.published.answers import answers, trials
from benchmarks.studies.study import NamedTrial, Study
from medzoo.evaluation.metrics import compute_metrics
from medzoo.evaluation.operating_points.confidence import answers_of
from medzoo.evaluation.operating_points.risk import fit_selective

RECORDS = ResultsFile(RESULTS / "abstention.json")
RISKS = (0.05, 0.1, 0.2)


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Bound the risks of one model on its validation split, and let it answer its test split.

    Args:
        trial: Its key is the name of the model.
        source: Source of the images.
    """
    data, val, test = answers(trial.key, source)
    info, risks = data.info, fit_selective(val, data.val)
    assert risks is not None  # MedMNIST knows all labels
    confidence, loss = answers_of(data.test, test.numpy(), None)
    bounds = np.array([risks.risk(value) for value in confidence])
    metrics = compute_metrics(data.test.labels, test, info.task, info.classes)
    return {
        "title": data.test.title,
        "images": len(data.test),
        "lowest_bound": min(risks.bounds),
        "aurc": metrics.aurc,
        "wrong": float(loss.mean()),
        "risks": [_answered(risk, loss[bounds <= risk], len(loss)) for risk in RISKS],
    }


def table() -> str:
    """Return how much each model answers at each risk, and how much of it is wrong."""
    header = ["Model", "Test split", "AURC", "All answers: wrong"]
    for risk in RISKS:
        header += [f"Risk {100 * risk:.0f} %: answered", "Wrong"]
    rows = []
    for name, record in sorted(RECORDS.read().items()):
        row = [
            *(f"`{name}`", f"{record['title']}, {record['images']:,}"),
            *(f"{record['aurc']:.4f}", percent(record["wrong"])),
        ]
        for one in record["risks"]:
            above = " †" if (one["wrong"] or 0) > one["risk"] else ""
            row += [percent(one["answered"]), percent(one["wrong"]) + above]
        rows.append(tuple(row))
    return markdown_table(tuple(header), rows)


def _answered(risk: float, loss: np.ndarray, images: int) -> dict[str, Any]:
    wrong = float(loss.mean()) if len(loss) else None
    return {"risk": risk, "answered": len(loss) / images, "wrong": wrong}


def _summary(record: Mapping[str, Any]) -> str:
    return ", ".join(
        f"risk {one['risk']:g}: {one['answered']:.1%} answered" for one in record["risks"]
    )


ABSTENTION = Study(
    name="abstention",
    description="how much the published models answer if they may be wrong only so often",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=_summary,
)
