"""Which differences between the published models of a data set are more than chance.

All models that were made for the same images (the same data set in the same size) are compared in
pairs on its test split by `medzoo.compare`: AUC by DeLong's test (binary tasks) or the paired
bootstrap, accuracy by McNemar's exact test (multi-label tasks: the bootstrap), each corrected for
the number of pairs by Holm's method. Nothing is chosen by these figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.published.answers import one_thread
from benchmarks.studies.study import NamedTrial, Study
from medzoo.weights import weights_index

RECORDS = ResultsFile(RESULTS / "differences.json")
SCORES = ("auc", "acc")
LEVEL = 0.05
"""A difference with a smaller adjusted p-value is more than chance."""


def models_of(tag: str) -> dict[str, str]:
    """Return the sha256 of each published classifier of a data set in one size, by name.

    Args:
        tag: The data set, with the size of its images: ``"breastmnist_64"``.
    """
    entries = weights_index().items()
    return {name: e.sha256 for name, e in entries if e.tag == tag and "test" in e.metrics}


def trials() -> list[NamedTrial]:
    """Return one trial per data set and size with several published classifiers."""
    tags = sorted({entry.tag for entry in weights_index().values()})
    return [NamedTrial(tag) for tag in tags if len(models_of(tag)) > 1]


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Compare the models of one data set on its test split.

    Args:
        trial: Its key names the data set, with the size of its images.
        source: Source of the images.
    """
    models = models_of(trial.key)
    data = source.load(trial.key)
    with one_thread():
        found = medzoo.compare(list(models), data.test, scores=SCORES, device="cpu")
    return {"models": models, **found.to_dict()}


def is_current(record: Mapping[str, Any], trial: NamedTrial, source: Source) -> bool:
    """Return whether a record is of the present weights.

    Args:
        record: An earlier record.
        trial: Its key names the data set.
        source: Not used: data sets do not change.
    """
    return record["models"] == models_of(trial.key)


def table() -> str:
    """Return the differences as a Markdown table, and which of them are more than chance."""
    header = ("Data set", "Models", "Difference in AUC", "p", "Difference in ACC", "p")
    rows, found = [], []
    for record in RECORDS.read().values():
        pairs = groupby(sorted(record["differences"], key=_pair), _pair)
        for (first, second), group in pairs:
            by_score = {one["score"]: one for one in group}
            names = f"`{_short(first)}` - `{_short(second)}`"
            cells = [cell for score in SCORES for cell in _cells(by_score[score], score)]
            rows.append((record["title"], names, *cells))
        found.append(f"- {record['title']}. {_beyond_chance(record['differences'])}")
    beyond = "\n".join(["Differences that are more than chance:", "", *found])
    return f"{markdown_table(header, rows)}\n\n{beyond}"


def _beyond_chance(differences: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for score in SCORES:
        rows = [row for row in differences if row["score"] == score]
        beyond = [_order(row) for row in rows if is_beyond_chance(row)]
        parts.append(f"{score.upper()}: {', '.join(beyond) or 'none'}")
    return "; ".join(parts)


def is_beyond_chance(row: Mapping[str, Any]) -> bool:
    """Return whether a difference is more than chance, by its adjusted p-value.

    Args:
        row: As `medzoo.evaluation.Difference` gives it; a p-value that is not defined is None.
    """
    return row["p_adjusted"] is not None and row["p_adjusted"] < LEVEL


def _order(row: Mapping[str, Any]) -> str:
    better, worse = map(_short, _pair(row)[:: 1 if row["difference"] > 0 else -1])
    return f"`{better}` > `{worse}`"


def _pair(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["first"], row["second"]


def _short(name: str) -> str:
    return name.partition(".")[0]


def _cells(row: Mapping[str, Any], score: str) -> tuple[str, str]:
    def text(value: float) -> str:
        return f"{value:+.4f}" if score == "auc" else f"{100 * value:+.1f}"

    low, high = map(text, row["interval"])
    unit = "" if score == "auc" else " %"
    bold = "**" if is_beyond_chance(row) else ""
    p = f"{bold}{_p_text(row['p_adjusted'])}{bold}"
    return f"{text(row['difference'])} ({low} to {high}{unit})", p


def _p_text(p: float | None) -> str:
    """Return a p-value with as many digits as its side of the level needs."""
    if p is None:
        return "-"
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.4g}"


DIFFERENCES = Study(
    name="differences",
    description="which differences between the published models are more than chance",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: f"{record['title']}: {_beyond_chance(record['differences'])}",
    is_current=is_current,
)
