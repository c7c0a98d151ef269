"""The rows of the results table: what was reported, what was measured, how they compare."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from record import seed_stats

import medzoo
from medzoo.inference import TTA
from medzoo.weights import weights_index

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPORTED = Path(__file__).with_name("reported.toml")


@dataclass
class Row:
    """One model on one data set.

    Attributes:
        dataset: Name of the data set.
        model: Name of the architecture.
        title: The model's name to print.
        metric: Which score of a report the reported figure is.
        reported: The reported figure, a share in [0, 1], or None.
        note: What a reader must know about the reported figure.
        data_title: Name of the data set to print, with its provenance mark once it was read.
        parameters: Measured number of parameters.
        problem: Why nothing was measured (``"no data"``, ``"no weights"``), or None.
        reason: The problem's error message.
        members: Models of an ensemble; empty for a single model.
        tta: Test-time augmentation, as `medzoo.evaluate` names it.
        runs: One dictionary a measured model: seed, report, and how it was trained.
        seed_stats: Mean and standard deviation of the test figures over the seeds of the
            trainings behind a published model, as `record.seed_stats` gives them, or None.
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
    members: list[str] = field(default_factory=list)
    tta: TTA = "none"
    runs: list[dict[str, Any]] = field(default_factory=list)
    seed_stats: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.title = self.title or self.model
        self.data_title = self.data_title or medzoo.dataset_info(self.dataset).title

    @property
    def name(self) -> str:
        """Return ``"dataset/model"``."""
        return f"{self.dataset}/{self.model}"

    @property
    def seeds(self) -> dict[str, Any] | None:
        """Return figures over seeds: of the runs here, or of the trainings behind the weights."""
        return seed_stats(self.runs) if len(self.runs) > 1 else self.seed_stats

    @property
    def chosen(self) -> dict[str, Any] | None:
        """Return the run with the best validation AUC, which stands for the row."""
        # A published ensemble is the only run of its row, and was never validated.
        return max(self.runs, key=lambda run: run.get("val_auc", 0.0)) if self.runs else None

    @property
    def measured(self) -> float | None:
        """Return the chosen run's score that compares with the reported one."""
        return self.chosen["report"][self.metric] if self.chosen else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return that score's 95 % interval."""
        return tuple(self.chosen["report"]["intervals"][self.metric]) if self.chosen else None

    @property
    def status(self) -> str:
        """Compare: a reported figure inside the measured interval is reproduced."""
        if self.problem:
            return self.problem
        if self.reported is None or self.interval is None:
            return "measured"
        low, high = self.interval
        if self.reported < low:
            return "exceeds"
        return "below" if self.reported > high else "reproduces"

    def to_dict(self) -> dict[str, Any]:
        """Return the row and what follows from it, JSON-safe."""
        return asdict(self) | {"name": self.name, "status": self.status}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """Rebuild a row from `to_dict`'s values."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})


def reported_rows() -> list[Row]:
    """Return the reported table, then every other published classifier, then the ensembles."""
    content = tomllib.loads(REPORTED.read_text(encoding="utf-8"))
    rows = [
        Row(**{k: v for k, v in entry.items() if k != "parameters"}) for entry in content["row"]
    ]
    known = {row.name for row in rows}
    for entry in weights_index().values():
        if f"{entry.dataset}/{entry.architecture}" not in known and "test" in entry.metrics:
            rows.append(Row(entry.dataset, entry.architecture))
    return rows + [Row(model="ensemble", **entry) for entry in content["ensemble"]]


def select(names: str | None) -> list[Row]:
    """Return the named rows, or all that are reported or published.

    Args:
        names: ``"dataset/model"``, several with commas between, or None for all.

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
        medzoo.dataset_info(dataset)
        match = [row for row in rows if row.name == f"{dataset}/{model}"]
        if not match and model not in medzoo.list_models():
            raise medzoo.errors.unknown_name("model", model, medzoo.list_models())
        chosen.append(match[0] if match else Row(dataset, model))
    return chosen


def percent(value: float | None) -> str:
    """Format a share as a percentage."""
    return "-" if value is None else f"{100 * value:.2f} %"


def markdown(rows: list[Row]) -> str:
    """Return the results table as Markdown."""
    lines = [
        "| Data set | Model | Reported | Measured (95 % interval) | AUC | ACC | Parameters "
        "| ACC a million parameters | Status |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = ["-"] * 5
        if row.chosen and row.interval and row.parameters:
            report = row.chosen["report"]
            low, high = row.interval
            what = "" if row.metric == "acc" else f" {row.metric.replace('_', ' ')}"
            cells = [
                f"**{percent(row.measured)}**{what} ({100 * low:.1f} to {100 * high:.1f})",
                f"{report['auc']:.4f}",
                percent(report["acc"]),
                f"{row.parameters / 1e6:.2f} M",
                f"{100 * report['acc'] / (row.parameters / 1e6):.2f}",
            ]
            if row.seeds:
                cells[0] += f"; {spread(row.seeds)}"
        lines.append(
            f"| {row.data_title} | {row.title} | {percent(row.reported)} | "
            + " | ".join(cells)
            + f" | {row.status} |"
        )
    return "\n".join(lines)


def spread(figures: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of ACC and AUC over seeds, in words.

    Args:
        figures: As `record.seed_stats` gives them.
    """
    acc, auc, count = figures["acc"], figures["auc"], len(figures["seeds"])
    if acc["sd"] is None:
        return "one seed"
    return (
        f"ACC {100 * acc['mean']:.2f} ± {100 * acc['sd']:.2f}, "
        f"AUC {auc['mean']:.3f} ± {auc['sd']:.3f} over {count} seeds"
    )
