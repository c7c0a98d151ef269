"""What training on damaged images brings, and what it costs on images as they are.

Recipes are compared on the validation split. What the recipe ``robust`` brings is measured on the
test split, once, with thresholds of binary tasks chosen on the validation split. ``robust`` trains
on noise and blur, so damage of the other families is new to it; the recipe with all families has
seen all that it is tested with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from statistics import mean
from typing import Any

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import OUTPUT, RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.robustness.published import family_means
from benchmarks.studies.study import Study
from medzoo.datasets.info import SplitName
from medzoo.images.corruptions import FAMILIES
from medzoo.training import load_recipe
from medzoo.weights import read_config

RECORDS = ResultsFile(RESULTS / "robust_recipe.json")
MODEL = "simple_cnn"
DATASETS = ("breastmnist", "pneumoniamnist", "retinamnist")
SEEDS = range(3)
ARMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "default": ("default", {}),
    "robust": ("robust", {}),
    "all families": ("robust", {"corruptions": FAMILIES}),
}
"""Bundled recipe of each arm, and changes to its augmentation."""
HEADER = (
    *("Data set", "Split", "Recipe", "ACC", "Balanced error", "Damaged", *FAMILIES),
    *("Seeds", "Training time"),
)


@dataclass(frozen=True)
class RobustTrial:
    """A training, and the split that it is evaluated on.

    Attributes:
        dataset: One of `DATASETS`.
        arm: A key of `ARMS`.
        seed: Seed of the training.
        split: ``"val"`` or ``"test"``.
    """

    dataset: str
    arm: str
    seed: int
    split: SplitName

    @property
    def key(self) -> str:
        """Name of the trial in the results file."""
        return f"{self.dataset}/{self.split}/{self.arm}/{self.seed}"

    @property
    def recipe(self) -> medzoo.Recipe:
        """The recipe of the training."""
        name, augmentation = ARMS[self.arm]
        recipe = load_recipe(name, MODEL, self.dataset)
        return recipe.with_changes(seed=self.seed, augmentation=augmentation)


def trials() -> list[RobustTrial]:
    """Return the trials: those on validation images first, then those on test images.

    One seed after another, so that an interrupted run has a value for every recipe.
    """
    measured: Mapping[SplitName, tuple[str, ...]] = {
        "val": tuple(ARMS),
        "test": ("default", "robust"),
    }
    return [
        RobustTrial(dataset, arm, seed, split)
        for split, arms in measured.items()
        for seed, dataset, arm in product(SEEDS, DATASETS, arms)
    ]


def run(trial: RobustTrial, source: Source) -> dict[str, Any]:
    """Train, unless the weights are there already, evaluate, and return the record.

    Args:
        trial: The trial.
        source: Source of the images.
    """
    data = source.load(trial.dataset)
    output = OUTPUT / "robust" / trial.dataset / trial.arm
    path = output / "models" / f"{MODEL}-seed{trial.seed}.safetensors"
    if not path.exists():
        medzoo.train(MODEL, data, trial.recipe, output=output)
    model, training = medzoo.create_model(path), read_config(path).training
    if medzoo.Recipe.from_dict(training["recipe"]) != trial.recipe:
        raise ValueError(f"{path} was trained with another recipe; move it away")
    split, threshold = data.splits[trial.split], None
    if trial.split == "test" and data.info.task == "binary-class":
        threshold = medzoo.choose_threshold(model, data.val)
    report = medzoo.evaluate_robustness(
        model, split, like=trial.dataset, threshold=threshold, resamples=0
    )
    plain = medzoo.evaluate(model, split, threshold=threshold, resamples=0)
    return {
        "recipe": trial.recipe.to_dict(),
        "seconds": training["seconds"],
        "auc": plain.auc,
        "acc": plain.acc,
        "report": report.to_dict(),
    }


def is_current(record: Mapping[str, Any], trial: RobustTrial, source: Source) -> bool:
    """Return whether a record has the present recipe of its trial.

    Args:
        record: An earlier record.
        trial: The trial.
        source: Not used: data sets do not change.
    """
    return medzoo.Recipe.from_dict(record["recipe"]) == trial.recipe


def table() -> str:
    """Return the means over seeds as a Markdown table."""
    found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    records = RECORDS.read()
    for trial in trials():
        if record := records.get(trial.key):
            found.setdefault((trial.dataset, trial.split, trial.arm), []).append(record)
    return markdown_table(HEADER, [_cells(*names, rows) for names, rows in found.items()])


def _cells(dataset: str, split: str, arm: str, rows: list[Mapping[str, Any]]) -> list[str]:
    reports = [row["report"] for row in rows]
    families = [family_means(report) for report in reports]
    errors = [mean(report[key] for report in reports) for key in ("clean", "error")]
    by_family = [
        _percent(mean(one[family] for one in families)) if family in families[0] else "-"
        for family in FAMILIES
    ]
    return [
        *(f"`{dataset}`", split, arm, _percent(mean(row["acc"] for row in rows))),
        *(*map(_percent, errors), *by_family, str(len(rows))),
        f"{mean(row['seconds'] for row in rows):.0f} s",
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


ROBUST_RECIPE = Study(
    name="robust_recipe",
    description="what training on damaged images brings and costs",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: (
        f"ACC {record['acc']:.3f}, balanced error {record['report']['clean']:.3f}, "
        f"damaged {record['report']['error']:.3f}"
    ),
    is_current=is_current,
)
