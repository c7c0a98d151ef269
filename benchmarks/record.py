"""What trainings gave: a file a row of the results table, kept seed by seed as they end."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medzoo import Recipe
from medzoo.files import write_atomically

TRAINING = Path(__file__).parent / "results" / "training"


class Record:
    """The finished trainings of one row.

    Each run has its seed, recipe, history, validation figures, time and machine, and the report
    on the test split that was made after it.

    Args:
        dataset: Name of the data set.
        model: Name of the architecture.
        variant: What is different from the ordinary training, in a word; empty if nothing is.
        folder: Of the records.
    """

    def __init__(
        self, dataset: str, model: str, variant: str = "", folder: Path = TRAINING
    ) -> None:
        self.path = folder / ("-".join(filter(None, (dataset, model, variant))) + ".json")

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs in the order of their seeds; none if nothing was trained."""
        return json.loads(self.path.read_text()) if self.path.exists() else []

    def find(self, recipe: dict[str, Any]) -> dict[str, Any] | None:
        """Return the run with this recipe (its seed included), if it has ended.

        Args:
            recipe: As `medzoo.Recipe.to_dict` gives it.
        """
        wanted = Recipe.from_dict(json.loads(json.dumps(recipe)))  # lists for tuples
        return next((run for run in self.runs() if _recipe(run) == wanted), None)

    def keep(self, run: dict[str, Any]) -> None:
        """Add a run. It replaces that of the same seed, and those of other recipes.

        Args:
            run: With at least ``seed`` and ``recipe``.
        """
        run = json.loads(json.dumps(run))
        kept = [
            other
            for other in self.runs()
            if other["seed"] != run["seed"] and same_but_for_seed(other["recipe"], run["recipe"])
        ]
        runs = sorted([*kept, run], key=lambda other: other["seed"])
        write_atomically(self.path, (json.dumps(runs, indent=1) + "\n").encode())


def same_but_for_seed(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two recipes are the same training, whenever they were written down.

    A field that came later counts as its default in an older recipe.

    Args:
        one: As `medzoo.Recipe.to_dict` gives it.
        other: Likewise.
    """
    first, second = (Recipe.from_dict(recipe | {"seed": 0}) for recipe in (one, other))
    return first == second


def seed_stats(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation of the test figures over the runs' seeds.

    Args:
        runs: Of one row, at least one. With a single one the deviation is None.
    """
    values: dict[str, Any] = {"seeds": [run["seed"] for run in runs]}
    for score in ("auc", "acc"):
        figures = [run["report"][score] for run in runs]
        deviation = stdev(figures) if len(figures) > 1 else None
        values[score] = {"mean": mean(figures), "sd": deviation}
    return values


def _recipe(run: dict[str, Any]) -> Recipe:
    return Recipe.from_dict(run["recipe"])
