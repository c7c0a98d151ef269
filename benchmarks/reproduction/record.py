"""Finished trainings: one file per row of the results table, one entry per seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.reporting.paths import RESULTS
from medzoo import Recipe
from medzoo.files import write_atomically

TRAINING = RESULTS / "training"


class Record:
    """The finished trainings of one row.

    Each run has its seed, recipe, history, validation scores, time and machine, and the report
    on the test split that was made after training.

    Args:
        dataset: Name of the data set.
        model: Name of the architecture.
        variant: Name of a variant of the training; empty for the default.
        folder: Folder of the records.
    """

    def __init__(
        self, dataset: str, model: str, variant: str = "", folder: Path = TRAINING
    ) -> None:
        self.path = folder / ("-".join(filter(None, (dataset, model, variant))) + ".json")

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs, sorted by seed; an empty list if there are none."""
        return json.loads(self.path.read_text()) if self.path.exists() else []

    def find(self, recipe: dict[str, Any], teachers: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return the finished run with this recipe (including its seed) and teachers, or None.

        Args:
            recipe: As `medzoo.Recipe.to_dict` returns it.
            teachers: Names of the teachers.
        """
        wanted = Recipe.from_dict(json.loads(json.dumps(recipe)))  # lists for tuples
        runs = (run for run in self.runs() if _teachers(run) == list(teachers))
        return next((run for run in runs if _recipe(run) == wanted), None)

    def save(self, run: dict[str, Any]) -> None:
        """Add a run; replace that of its seed, and all runs of other recipes or other teachers.

        Args:
            run: With at least ``seed`` and ``recipe``; ``teachers`` if it had any.
        """
        run = json.loads(json.dumps(run))
        kept = [
            other
            for other in self.runs()
            if other["seed"] != run["seed"]
            and _teachers(other) == _teachers(run)
            and same_but_for_seed(other["recipe"], run["recipe"])
        ]
        runs = sorted([*kept, run], key=lambda other: other["seed"])
        write_atomically(self.path, (json.dumps(runs, indent=1) + "\n").encode())


def same_but_for_seed(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two recipes differ in nothing but the seed.

    A field that an older recipe does not have counts as its default.

    Args:
        one: As `medzoo.Recipe.to_dict` returns it.
        other: The same for the other recipe.
    """
    first, second = (Recipe.from_dict(recipe | {"seed": 0}) for recipe in (one, other))
    return first == second


def seed_stats(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation of test AUC and ACC over seeds.

    Args:
        runs: Runs of one row, at least one. With a single run the deviation is None.
    """
    values: dict[str, Any] = {"seeds": [run["seed"] for run in runs]}
    for score in ("auc", "acc"):
        scores = [run["report"][score] for run in runs]
        deviation = stdev(scores) if len(scores) > 1 else None
        values[score] = {"mean": mean(scores), "sd": deviation}
    return values


def _teachers(run: dict[str, Any]) -> list[str]:
    return run.get("teachers", [])


def _recipe(run: dict[str, Any]) -> Recipe:
    return Recipe.from_dict(run["recipe"])
