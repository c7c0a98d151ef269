"""Search an efficientnet of at most 2.45 M parameters, and compare it with the bundled one.

For each data set, `medzoo.search` chooses recipe and architecture on the validation split, by
trainings of few epochs, so that hours are enough for dozens of trials. What it finds is trained for
five times the epochs, what is bundled as it is, both with the same three seeds, and their test
splits are read once. An interrupted search goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Literal

import medzoo
from benchmarks.reporting.format import markdown_table, millions, percent
from benchmarks.reporting.paths import OUTPUT, RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import Study
from medzoo.models import model_cost

RECORDS = ResultsFile(RESULTS / "architecture_search.json")
STORAGE = OUTPUT / "architecture_search.db"
ARCHITECTURE = "efficientnet"
DATASETS = ("dermamnist", "octmnist")
MAX_PARAMS = 2.45e6
HOURS = 2
SHORTER = 5
"""How many times fewer epochs the search trains for."""
SEEDS = range(3)
KINDS: tuple[Literal["searched", "bundled"], ...] = ("searched", "bundled")
HEADER = (
    "Data",
    "Network",
    "Parameters",
    "MFLOP per image",
    "Validation AUC",
    "Test AUC",
    "Test ACC",
    "Hours of search",
)


@dataclass(frozen=True)
class Step:
    """A search, or a training of what it found or of what is bundled.

    Attributes:
        dataset: The data set.
        kind: What is done.
        seed: Of the training.
    """

    dataset: str
    kind: Literal["search", "searched", "bundled"]
    seed: int = 0

    @property
    def key(self) -> str:
        """Name in the results file."""
        seed = "" if self.kind == "search" else f" seed {self.seed}"
        return f"{self.dataset}: {self.kind}{seed}"


def steps() -> list[Step]:
    """Return all steps; each search comes before the trainings of what it finds."""
    trainings = [(kind, seed) for kind in KINDS for seed in SEEDS]
    return [
        step
        for dataset in DATASETS
        for step in (Step(dataset, "search"), *(Step(dataset, *one) for one in trainings))
    ]


def run(step: Step, source: Source) -> dict[str, Any]:
    """Run a step and return its record.

    Args:
        step: The step.
        source: Source of the images.
    """
    data = source.load(step.dataset)
    return _search(data) if step.kind == "search" else _train(step, data)


def _search(data: medzoo.Dataset) -> dict[str, Any]:
    STORAGE.parent.mkdir(parents=True, exist_ok=True)
    bundled = medzoo.recipe_for(ARCHITECTURE, data)
    few = max(1, bundled.epochs // SHORTER)
    result = medzoo.search(
        data,
        ARCHITECTURE,
        recipe=bundled.with_changes(epochs=few, validate_every=few),
        max_params=MAX_PARAMS,
        time_limit=HOURS * 3600,
        storage=STORAGE,
    )
    whole = result.recipe.with_changes(
        epochs=SHORTER * result.recipe.epochs, validate_every=bundled.validate_every
    )
    return {
        "recipe": whole.to_dict(),
        "val_auc": result.best.values["val_auc"],
        "trials": len(result.trials),
        "hours": sum(trial.seconds for trial in result.trials) / 3600,
        "data": data.title,
    }


def _train(step: Step, data: medzoo.Dataset) -> dict[str, Any]:
    """Train with one seed; the test split is read here, once, and decides nothing."""
    recipe = _recipe(step, data).with_changes(seed=step.seed)
    trained = medzoo.train(ARCHITECTURE, data, recipe)
    report = medzoo.evaluate(trained.model, data.test)
    cost = model_cost(trained.model)
    return {
        "recipe": recipe.to_dict(),
        "val_auc": trained.val_auc,
        "test_auc": report.auc,
        "test_acc": report.acc,
        "parameters": cost.parameters,
        "mflop": cost.mflop,
        "data": data.title,
    }


def _recipe(step: Step, data: medzoo.Dataset) -> medzoo.Recipe:
    if step.kind == "bundled":
        return medzoo.recipe_for(ARCHITECTURE, data)
    search = Step(step.dataset, "search")
    if (found := RECORDS.find(search.key)) is None:
        raise ValueError(f"there is no record of {search.key!r} yet; run it first")
    return medzoo.Recipe.from_dict(found["recipe"])


def table() -> str:
    """Return the networks as a Markdown table, and for each data set what the search gained."""
    records = RECORDS.read()
    rows: list[tuple[str, ...]] = []
    gains = []
    for dataset in DATASETS:
        if not all(step.key in records for step in steps() if step.dataset == dataset):
            rows.append((dataset, "not run yet", *["-"] * (len(HEADER) - 2)))
            continue
        hours = f"{records[Step(dataset, 'search').key]['hours']:.1f}"
        searched, bundled = (
            [records[Step(dataset, kind, seed).key] for seed in SEEDS] for kind in KINDS
        )
        rows += [_row("searched", searched, hours), _row("bundled", bundled, "-")]
        gains.append(f"\n{_gain(searched, bundled)}")
    return "\n".join([markdown_table(HEADER, rows), *gains])


def _row(network: str, runs: list[dict[str, Any]], hours: str) -> tuple[str, ...]:
    return (
        runs[0]["data"],
        network,
        millions(runs[0]["parameters"]),
        f"{runs[0]['mflop']:.0f}",
        _over_seeds("val_auc", runs),
        _over_seeds("test_auc", runs),
        percent(mean(run["test_acc"] for run in runs)),
        hours,
    )


def _gain(searched: list[dict[str, Any]], bundled: list[dict[str, Any]]) -> str:
    """Say what the search gained on validation images; only a gain with every seed counts."""
    found, before = ([run["val_auc"] for run in runs] for runs in (searched, bundled))
    verdict = "found a better network" if min(found) > max(before) else "gained nothing certain"
    return (
        f"{searched[0]['data']}: the search {verdict} (validation AUC "
        f"{mean(found) - mean(before):+.4f}, mean of {len(SEEDS)} seeds)."
    )


def _over_seeds(score: str, runs: list[dict[str, Any]]) -> str:
    values = [run[score] for run in runs]
    return f"{mean(values):.4f} ± {stdev(values):.4f}"


def _is_current(record: Mapping[str, Any], step: Step, source: Source) -> bool:
    """Return whether a training is one of the recipe that the search has found."""
    if step.kind != "searched":
        return True
    found = RECORDS.find(Step(step.dataset, "search").key)
    return found is None or record["recipe"] == {**found["recipe"], "seed": step.seed}


ARCHITECTURE_SEARCH = Study(
    name="architecture_search",
    description="an efficientnet of at most 2.45 M parameters, searched and bundled",
    results=RECORDS,
    trials=steps,
    run=run,
    table=table,
    summary=lambda record: f"validation AUC {record['val_auc']:.4f}",
    is_current=_is_current,
)
