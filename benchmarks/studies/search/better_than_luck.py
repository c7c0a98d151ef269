"""Search against luck: the best validation AUC so far, over the seconds spent on training.

Both ways of searching have the same space and start with the same recipe: the bundled one with a
smaller network and fewer epochs, so that a search of minutes has some dozens of trials. The trials
are kept in an Optuna study, so that a search can be interrupted. Test splits are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.palette import BLUE, ORANGE
from benchmarks.reporting.paths import OUTPUT, RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import Study
from medzoo.training import load_recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORDS = ResultsFile(RESULTS / "search.json")
STORAGE = OUTPUT / "search_study.db"

_TRIALS = read_toml(Path(__file__).parents[1] / "trials" / "search.toml")
DATASETS: dict[str, dict[str, Any]] = _TRIALS["datasets"]
MODEL: str = _TRIALS["model"]
METHODS: dict[str, dict[str, Any]] = _TRIALS["methods"]
SEARCH, LUCK = METHODS


@dataclass(frozen=True)
class SearchTrial:
    """One search.

    Attributes:
        dataset: A key of `DATASETS`.
        method: A key of `METHODS`.
        seed: Seed of the search.
    """

    dataset: str
    method: str
    seed: int

    @property
    def key(self) -> str:
        """Name of the trial in the results file."""
        return f"{self.dataset}/{self.method}/seed{self.seed}"

    @property
    def seconds(self) -> float:
        """How long is searched."""
        return float(DATASETS[self.dataset]["seconds"])

    @property
    def recipe(self) -> medzoo.Recipe:
        """What the search starts with."""
        bundled = load_recipe("default", MODEL, self.dataset)
        return bundled.with_changes(**DATASETS[self.dataset]["recipe"])


def trials() -> list[SearchTrial]:
    """Return the trials; a seed is complete before the next one begins."""
    return [
        SearchTrial(dataset, method, seed)
        for seed, dataset, method in product(_TRIALS["seeds"], DATASETS, METHODS)
    ]


def run(trial: SearchTrial, source: Source) -> dict[str, Any]:
    """Search, or go on with a search that was interrupted; return the record.

    Args:
        trial: The trial.
        source: Source of the images.
    """
    data = source.load(trial.dataset)
    result = medzoo.search(
        data,
        MODEL,
        recipe=trial.recipe,
        time_limit=trial.seconds,
        seed=trial.seed,
        storage=STORAGE,
        progress=None,
        **METHODS[trial.method],
    )
    states = [one.state for one in result.trials]
    return {
        "data": data.title,
        "seconds": trial.seconds,
        "recipe": trial.recipe.to_dict(),
        "trials": {state: states.count(state) for state in ("complete", "pruned", "failed")},
        "curve": curve([(one.seconds, one.values.get("val_auc")) for one in result.trials]),
        "best_recipe": result.recipe.to_dict(),
    }


def curve(trials: Sequence[tuple[float, float | None]]) -> list[tuple[float, float]]:
    """Return the best value so far, whenever it changes.

    Args:
        trials: Seconds and value of each trial; None for those that were not completed, whose
            seconds count all the same.

    Returns:
        Seconds since the start of the search, and the best value from then on.
    """
    ends = accumulate(seconds for seconds, _ in trials)
    points: list[tuple[float, float]] = []
    for end, (_, value) in zip(ends, trials, strict=True):
        if value is not None and (not points or value > points[-1][1]):
            points.append((end, value))
    return points


def seconds_to(points: Sequence[Sequence[float]], value: float) -> float | None:
    """Return when a search had reached a value, or None if it never had.

    Args:
        points: What `curve` returned.
        value: The value.
    """
    return next((seconds for seconds, best in points if best >= value), None)


def table(records: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return what was reached, and how soon, as a Markdown table; one row per search.

    Args:
        records: Records by key; by default those in the results file.
    """
    records = RECORDS.read() if records is None else records
    rows = []
    for dataset, seed in product(DATASETS, _TRIALS["seeds"]):
        pair = [SearchTrial(dataset, one, seed) for one in (SEARCH, LUCK)]
        if not all(one.key in records for one in pair):
            continue
        found, luck = (records[one.key]["curve"] for one in pair)
        when = seconds_to(found, luck[-1][1])
        share = "not reached" if when is None else f"{100 * when / pair[0].seconds:.0f} %"
        rows.append(
            (
                dataset,
                str(seed),
                f"{found[0][1]:.4f}",
                f"{luck[-1][1]:.4f}",
                f"{found[-1][1]:.4f}",
                share,
            )
        )
    header = (
        "Data set",
        "Seed",
        "First recipe",
        "Random search, end",
        "medzoo.search, end",
        "Value of random search reached after",
    )
    return markdown_table(header, rows)


def plot(records: Mapping[str, Mapping[str, Any]] | None = None) -> Figure:
    """Draw the best validation AUC so far over time: the mean of the seeds, and each of them.

    Args:
        records: Records by key; by default those in the results file.
    """
    from matplotlib.figure import Figure

    records = RECORDS.read() if records is None else records
    figure = Figure(figsize=(4.5 * len(DATASETS), 3.4), layout="constrained")
    panels = figure.subplots(1, len(DATASETS), squeeze=False)[0]
    for axes, dataset in zip(panels, DATASETS, strict=True):
        times = np.linspace(0, DATASETS[dataset]["seconds"], 500)
        for method, color in zip((SEARCH, LUCK), (BLUE, ORANGE), strict=True):
            keys = [SearchTrial(dataset, method, seed).key for seed in _TRIALS["seeds"]]
            lines = [_sampled(records[key]["curve"], times) for key in keys if key in records]
            for line in lines:
                axes.plot(times / 60, line, color=color, linewidth=0.8, alpha=0.4)
            if lines:
                average = [mean(values) for values in zip(*lines, strict=True)]
                axes.plot(times / 60, average, color=color, label=method)
                axes.legend(frameon=False)
        axes.set_title(dataset)
        axes.set_xlabel("minutes of training")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("best validation AUC so far")
    return figure


def _sampled(points: Sequence[Sequence[float]], times: np.ndarray) -> list[float]:
    """Return the best value at each time; nothing is drawn before the first trial has ended."""
    return [
        max((best for seconds, best in points if seconds <= time), default=float("nan"))
        for time in times
    ]


SEARCH_STUDY = Study(
    name="search",
    description="whether medzoo.search finds better recipes than luck in the same time",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: f"AUC {record['curve'][-1][1]:.4f}, {record['trials']}",
    is_current=lambda record, trial, source: (
        record["seconds"] == trial.seconds and record["recipe"] == trial.recipe.to_dict()
    ),
)
