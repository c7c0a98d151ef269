"""Tables of the study of images of another kind."""

from __future__ import annotations

from statistics import mean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.reporting.format import markdown_table, percent
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile

RESULTS_FILE = ResultsFile(RESULTS / "ood.json")
_NO_DATASET = ("blank", "noise", "photographs")


def _records() -> dict[str, dict[str, Any]]:
    """Return the records, sorted by model, since they are in the order in which they were made."""
    return dict(sorted(RESULTS_FILE.read().items()))


def _kinds() -> list[str]:
    found = {kind for record in _records().values() for kind in record["kinds"]}
    return [*sorted(found - {*_NO_DATASET}), *_NO_DATASET]


def table() -> str:
    """Return AUROC and FPR95 of each model for each kind of images, as a Markdown table."""
    records, kinds = _records(), _kinds()
    rows = []
    for name, record in records.items():
        cells = [
            f"{one['auroc']:.3f}<br>{100 * one['fpr95']:.0f} %" if one else "-"
            for one in map(record["kinds"].get, kinds)
        ]
        rows.append((f"`{name}`", *cells, percent(record["own"])))
    titles = [kind.removesuffix("mnist").capitalize() for kind in kinds]
    return markdown_table(("Model", *titles, "Own marked"), rows)


def plot() -> Figure:
    """Draw the AUROC of each model for each kind of images."""
    records, kinds = _records(), _kinds()
    values = [
        [record["kinds"].get(kind, {}).get("auroc", np.nan) for kind in kinds]
        for record in records.values()
    ]
    figure = Figure(figsize=(7.5, 1 + 0.28 * len(records)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="viridis", vmin=0.85, vmax=1, aspect="auto")
    axes.set_xticks(range(len(kinds)), kinds, rotation=40, ha="right")
    axes.set_yticks(range(len(records)), list(records))
    figure.colorbar(image, label="AUROC against the model's own test images")
    return figure


def methods_table() -> str:
    """Return the mean AUROC and FPR95 of each method on validation images."""
    records = [record["candidates"] for record in _records().values()]
    names = dict.fromkeys(name for record in records for name in record)
    rows = []
    for name in names:
        found = [record[name] for record in records if name in record]
        aurocs = [one["auroc"] for one in found]
        rows.append(
            (
                name,
                f"{mean(aurocs):.3f}",
                f"{min(aurocs):.3f}",
                percent(mean(one["fpr95"] for one in found)),
                str(len(found)),
            )
        )
    rows.sort(key=lambda row: row[1])
    header = ("Method", "Mean AUROC", "Lowest of a model", "Mean FPR95", "Models")
    return markdown_table(header, rows)
