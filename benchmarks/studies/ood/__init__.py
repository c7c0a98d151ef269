"""How well models recognise images of another kind, and which method does so best."""

from __future__ import annotations

from typing import Any

from benchmarks.studies.ood.measure import run, trials
from benchmarks.studies.ood.report import RESULTS_FILE, table
from benchmarks.studies.study import NamedTrial, Study

OOD: Study[NamedTrial] = Study(
    name="ood",
    description="which images of another kind models recognise as such, and by which method",
    results=RESULTS_FILE,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: _summary(record["kinds"]),
    of_weights=True,
)


def _summary(kinds: dict[str, Any]) -> str:
    return ", ".join(f"{name} {one['auroc']:.3f}" for name, one in kinds.items())
