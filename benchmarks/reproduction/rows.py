"""The rows of the results table: what was reported, what was measured, how they compare."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import medzoo
from benchmarks.reporting.format import (
    markdown_table,
    millions,
    percent,
    percent_interval,
    seed_summary,
)
from benchmarks.reporting.paths import REPORTED
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.record import seed_stats
from medzoo.datasets.info import split_tag
from medzoo.inference import TTA
from medzoo.weights import weights_index

HEADER = (
    "Data set",
    "Model",
    "Reported",
    "Measured (95 % interval)",
    "AUC",
    "ACC",
    "Parameters",
    "ACC per million parameters",
    "Status",
)


_PART = re.compile(r"[\d,]+ of [\d,]+ (\w+ )?images|partial: ")
"""The note in the title of a data set of which only a part was there."""


@dataclass
class Row:
    """One model on one data set.

    Attributes:
        dataset: Name of the data set, with the size of larger images: ``"dermamnist_64"``.
        model: Name of the architecture.
        title: Name of the model in tables.
        metric: Which score of a report is compared with the reported figure.
        reported: The reported figure, a share in [0, 1], or None.
        note: What a reader must know about the reported figure.
        data_title: Name of the data set in tables, with its provenance once it was loaded.
        parameters: Measured number of parameters.
        problem: Why nothing was measured (``"no data"``, ``"no weights"``), or None.
        reason: The error message that goes with the problem.
        variant: How its trainings differ from those of published models; empty for the default.
        members: Models of an ensemble; empty for a single model.
        tta: Test-time augmentation, as in `medzoo.evaluate`.
        runs: One dictionary per measured model: seed, report, and how it was trained.
        seed_stats: Mean and standard deviation of the test scores over the seeds with which a
            published model was trained, as `record.seed_stats` returns them, or None.
    """

    dataset: str
    model: str
    title: str = ""
    metric: str = "acc"
    reported: float | None = None
    note: str = ""
    data_title: str = ""
    parameters: int | None = None
    problem: str | None = None
    reason: str = ""
    variant: str = ""
    members: list[str] = field(default_factory=list)
    tta: TTA = "none"
    runs: list[dict[str, Any]] = field(default_factory=list)
    seed_stats: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.title = self.title or self.model
        self.data_title = self.data_title or title_of(self.dataset)

    @property
    def name(self) -> str:
        """Return ``"dataset/model"``."""
        return f"{self.dataset}/{self.model}"

    @property
    def full_title(self) -> str:
        """Return the title of the model, with the variant of its training if there is one."""
        return f"{self.title} ({self.variant})" if self.variant else self.title

    @property
    def seeds(self) -> dict[str, Any] | None:
        """Return scores over seeds: of these runs, or of the trainings of the published weights."""
        return seed_stats(self.runs) if len(self.runs) > 1 else self.seed_stats

    @property
    def chosen(self) -> dict[str, Any] | None:
        """Return the run with the best validation AUC, which represents the row."""
        # A published ensemble is the only run of its row and was never validated.
        return max(self.runs, key=lambda run: run.get("val_auc", 0.0)) if self.runs else None

    @property
    def measured(self) -> float | None:
        """Return the score of the chosen run that is compared with the reported one."""
        return self.chosen["report"][self.metric] if self.chosen else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of that score."""
        return tuple(self.chosen["report"]["intervals"][self.metric]) if self.chosen else None

    @property
    def status(self) -> str:
        """Return how the reported figure compares with the measured interval."""
        if self.problem:
            return self.problem
        if self.reported is None or self.interval is None:
            return "measured"
        if _PART.search(self.data_title):
            return "measured on a part"  # its test images are not those of the reported figure
        low, high = self.interval
        if self.reported < low:
            return "exceeds"
        return "below" if self.reported > high else "reproduces"

    def to_dict(self) -> dict[str, Any]:
        """Return the row, its name and its status as JSON-safe values."""
        return asdict(self) | {"name": self.name, "status": self.status}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """Rebuild a row from the values of `to_dict`."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})


def reported_rows() -> list[Row]:
    """Return the reported table, then every other published classifier, then the ensembles."""
    content = read_toml(REPORTED)
    rows = [
        Row(**{k: v for k, v in entry.items() if k != "parameters"}) for entry in content["row"]
    ]
    known = {row.name for row in rows}
    for entry in weights_index().values():
        if f"{entry.tag}/{entry.architecture}" not in known and "test" in entry.metrics:
            rows.append(Row(entry.tag, entry.architecture))
    return rows + [Row(model="ensemble", **entry) for entry in content["ensemble"]]


def title_of(dataset: str) -> str:
    """Return the title of a data set, with the size of larger images.

    Args:
        dataset: Its name or tag, e.g. ``"dermamnist_64"``.

    Raises:
        ValueError: If there is no such data set.
    """
    name, size = split_tag(dataset)
    return medzoo.dataset_info(name).title_at(size)


def select(names: str | None) -> list[Row]:
    """Return the named rows, or all reported and published ones.

    Args:
        names: ``"dataset/model"``, several separated by commas, or None for all.

    Raises:
        ValueError: If a name is not of that form, or its data set or model is unknown.
    """
    rows = reported_rows()
    if names is None:
        return rows
    chosen = []
    for name in names.split(","):
        dataset, slash, model = name.strip().partition("/")
        if not slash:
            raise ValueError(f"row {name!r} is not of the form 'dataset/model'")
        title_of(dataset)
        match = [row for row in rows if row.name == f"{dataset}/{model}"]
        if not match and model not in medzoo.list_models():
            raise medzoo.errors.unknown_name("model", model, medzoo.list_models())
        chosen.append(match[0] if match else Row(dataset, model))
    return chosen


def markdown(rows: list[Row]) -> str:
    """Return the results table as Markdown.

    Args:
        rows: The rows, measured or not.
    """
    return markdown_table(HEADER, map(_cells, rows))


def _cells(row: Row) -> list[str]:
    cells = ["-"] * 5
    if row.chosen and row.interval and row.parameters:
        report = row.chosen["report"]
        metric = "" if row.metric == "acc" else f" {row.metric.replace('_', ' ')}"
        cells = [
            f"**{percent(row.measured)}**{metric} {percent_interval(row.interval)}",
            f"{report['auc']:.4f}",
            percent(report["acc"]),
            millions(row.parameters),
            f"{100 * report['acc'] / (row.parameters / 1e6):.2f}",
        ]
        if row.seeds:
            cells[0] += f"; {seed_summary(row.seeds)}"
    return [row.data_title, row.full_title, percent(row.reported), *cells, row.status]
