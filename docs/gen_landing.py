"""What the landing page shows: samples with the models' answers, and three measured figures."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.reporting.format import interval_text, percent
from benchmarks.reproduction.result_tables import measured_rows, report_of
from benchmarks.reproduction.rows import Row

SAMPLES = Path(__file__).parent / "images" / "samples"
FIGURES = ("bloodmnist/simple_cnn", "pneumoniamnist/simple_cnn", "dermamnist/simple_cnn")
"""Rows of benchmarks/results/reproduce.json: one small network on three kinds of images."""


def samples(_: str = "") -> str:
    """Return the drawn images with heat maps, and what the models answered."""
    recorded = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
    return '<div class="samples">\n' + "\n".join(map(_sample, recorded)) + "\n</div>"


def _sample(sample: dict[str, Any]) -> str:
    name, drawing = sample["dataset"], escape(sample["drawing"])
    label = _label(sample["probabilities"][0])
    pictures = (
        f'<img src="images/samples/{name}.jpg" alt="Drawing: {drawing}" width="224" height="224">'
        f'<img src="images/samples/{name}-heat.jpg" alt="Where the model sees: {label}" '
        'width="224" height="224">'
    )
    bars = "".join(
        f"<li><span>{_label(one)}</span> <b>{100 * one['probability']:.1f} %</b>"
        f'<i style="width:{100 * one["probability"]:.1f}%"></i></li>'
        for one in sample["probabilities"]
    )
    return (
        f'<figure><div class="pair">{pictures}</div>'
        f"<figcaption>{escape(sample['title'])}<ul>{bars}</ul></figcaption></figure>"
    )


def _label(answer: dict[str, Any]) -> str:
    label = answer["label"]
    return f"grade {label}" if label.isdigit() else escape(label)  # RetinaMNIST's are numbers


def figures(_: str = "") -> str:
    """Return three accuracies with their 95 % intervals, as they were measured."""
    rows = {row.name: row for row in measured_rows()}
    return (
        '<div class="figures">\n' + "\n".join(_figure(rows[name]) for name in FIGURES) + "\n</div>"
    )


def _figure(row: Row) -> str:
    report = report_of(row)
    low_to_high = interval_text(report["intervals"]["acc"], "acc")
    return (
        f"<div><strong>{percent(report['acc'])}</strong> <span>{low_to_high}</span>"
        f"<p>{escape(row.data_title)}, {report['n']:,} test images</p></div>"
    )
