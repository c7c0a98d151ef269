"""The tables of the published models: short in README.md, with everything in docs/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from benchmarks.reporting.format import interval_text, markdown_table, millions, percent
from benchmarks.reporting.html import Cell, html_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reproduction.rows import Row, title_of
from medzoo.datasets.info import split_tag
from medzoo.weights import weights_index

SHORT_HEADER = ("Data set", "Model", "Reported", "Measured (95 % interval)", "AUC")
RESULTS_HEADER = (
    "Data set",
    "Model",
    "Reported",
    "Measured (95 % interval)",
    "AUC",
    "ACC",
    "Over seeds",
    "Parameters",
    "ACC per million",
    "Status",
)
RESULTS_FILTERS = ("Data set", "Model", "Status")
ZOO_HEADER = (
    "Checkpoint",
    "Trained on",
    "Parameters",
    "Test AUC",
    "Test ACC",
    "Over seeds",
    "ECE",
    "File",
    "Licence",
)
ZOO_FILTERS = ("Data set", "Architecture", "Image size", "Licence")
BACKBONE = "several (backbone)"


def measured_rows() -> list[Row]:
    """Return the measured rows by data set, the most accurate first."""
    rows = json.loads((RESULTS / "reproduce.json").read_text(encoding="utf-8"))["rows"]
    return sorted(map(Row.from_dict, rows), key=_order)


def _order(row: Row) -> tuple[str, float, float]:
    return _base(row), -report_of(row)["acc"], -report_of(row)["auc"]


def report_of(row: Row) -> dict[str, Any]:
    """Return the report of the run that represents a measured row."""
    assert row.chosen is not None  # the file contains only measured rows
    return row.chosen["report"]


def _base(row: Row) -> str:
    return split_tag(row.dataset)[0]


def short_results() -> str:
    """Return reported and measured results as a Markdown table of five columns."""
    rows = []
    for row in measured_rows():
        score, interval = _measured(row)
        auc = f"{report_of(row)['auc']:.3f}"
        rows.append(
            (row.data_title, _model(row), percent(row.reported), f"**{score}** ({interval})", auc)
        )
    return markdown_table(SHORT_HEADER, rows)


def _model(row: Row) -> str:
    return row.title if row.members else f"`{row.model}`"


def _measured(row: Row) -> tuple[str, str]:
    """Return the score that is compared with the reported one, and its interval."""
    assert row.interval is not None
    metric = "" if row.metric == "acc" else f" {row.metric.replace('_', ' ')}"
    return f"{percent(row.measured)}{metric}", interval_text(row.interval, row.metric)


def results() -> str:
    """Return reported and measured results, with everything that was measured."""
    rows = []
    for row in measured_rows():
        report = report_of(row)
        parameters = row.parameters or 0
        cells: list[Cell] = [
            _titled(row.data_title),
            (_model(row), f"as {row.title}") if row.reported else _model(row),
            percent(row.reported),
            _measured(row),
            f"{report['auc']:.4f}",
            percent(report["acc"]),
            _over_seeds(row.seeds),
            millions(parameters),
            f"{100 * report['acc'] / (parameters / 1e6):.2f}",
            row.status,
        ]
        rows.append(((title_of(_base(row)), row.model, row.status), cells))
    return html_table(RESULTS_HEADER, rows, RESULTS_FILTERS)


def zoo() -> str:
    """Return the published checkpoints by data set, the most accurate first."""
    lines = []
    for entry in weights_index().values():
        size = f"{entry.bytes / 1e6:.1f} MB"
        head, tail = (f"`{entry.name}`",), (size, entry.licence)
        pixels = f"{entry.spec.input.size} px"
        if test := entry.metrics.get("test"):
            dataset, acc, auc = title_of(entry.dataset), test["acc"], test["auc"]
            cells: list[Cell] = [
                *head,
                _titled(test["title"]),
                millions(entry.parameters),
                (f"{auc:.4f}", interval_text(test["intervals"]["auc"], "auc")),
                (percent(acc), interval_text(test["intervals"]["acc"], "acc")),
                _over_seeds(entry.seed_stats),
                f"{test['ece']:.3f}",
                *tail,
            ]
        else:
            dataset, acc, auc = BACKBONE, 0.0, 0.0
            sets = ", ".join(map(title_of, entry.data.get("sets", ())))
            none = ["-"] * 4
            cells = [*head, ("backbone", sets), millions(entry.parameters), *none, *tail]
        values = (dataset, entry.architecture, pixels, entry.licence)
        lines.append(((dataset == BACKBONE, dataset, -acc, -auc), (values, cells)))
    return html_table(ZOO_HEADER, [row for _, row in sorted(lines, key=itemgetter(0))], ZOO_FILTERS)


def _titled(title: str) -> Cell:
    """Return the title of a data set, with the note in brackets below it."""
    name, bracket, note = title.partition(" (")
    return (name, note.removesuffix(")")) if bracket else name


def _over_seeds(stats: Mapping[str, Any] | None) -> Cell:
    """Return mean and standard deviation of the accuracy over seeds, and below it of the AUC."""
    if not stats or stats["acc"]["sd"] is None:
        return "-"
    acc, auc = stats["acc"], stats["auc"]
    return (
        f"{100 * acc['mean']:.2f} ± {100 * acc['sd']:.2f} %",
        f"AUC {auc['mean']:.3f} ± {auc['sd']:.3f}; {len(stats['seeds'])} seeds",
    )
