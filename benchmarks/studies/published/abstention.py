"""How much the published models answer if they are told how often they may be wrong.

The bounds are computed from the validation split, as `medzoo.calibrate` does, and measured on the
test split. Nothing is chosen by these figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.reporting.format import markdown_table, percent
from benchmarks.reporting.palette import BLUE, GREEN, ORANGE, YELLOW
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
COLOURS = {
    "simple_cnn": BLUE,
    "advanced_cnn": ORANGE,
    "efficientnet": GREEN,
    "attention_unet": YELLOW,
}


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
        "curve": {
            axis: [round(point[axis], 5) for point in metrics.risk_coverage]
            for axis in ("coverage", "risk")
        },
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


def plot() -> Figure:
    """Draw the risk-coverage curves of the classifiers for 28 px, a panel per data set."""
    records = RECORDS.read().items()
    panels = sorted({record["title"] for name, record in records if _is_small(name)})
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    grid = figure.subplots(2, -(-len(panels) // 2)).ravel()
    for axes, title in zip(grid, panels, strict=False):
        for name, record in sorted(records):
            if record["title"] == title:
                architecture = name.partition(".")[0]
                curve = record["curve"]
                axes.plot(
                    *(100 * np.array(curve[axis]) for axis in ("coverage", "risk")),
                    color=COLOURS[architecture],
                    label=architecture,
                )
        axes.set_title(title.partition(" (")[0], fontsize=10)
        axes.set_xlim(0, 100)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(panels) :]:
        axes.remove()
    figure.supxlabel("images answered, the most confident first, in %")
    figure.supylabel("wrong answers among them, in %")
    lines = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    handles = [lines[architecture] for architecture in COLOURS]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _is_small(name: str) -> bool:
    """Return whether a model is for 28 px: names of data sets in other sizes end with the size."""
    return "_" not in name.partition(".")[2]


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
    of_weights=True,
)
