"""What a search has found: the best recipe, all trials, and pictures of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medzoo.errors import TrainingError
from medzoo.files import write_atomically
from medzoo.search.goals import Goal, direction
from medzoo.training import Recipe

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

State = Literal["complete", "pruned", "failed"]
LATE = "out of time"
"""How the reason begins with which a trial ends that cannot finish another epoch in time."""
SAME = "same network and recipe as trial"
"""How the reason begins for which a trial has the values of an earlier one, without a training."""
BASELINE = "baseline"
"""The attribute of the trial of an unchanged recipe: the name of its model."""
_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a search.

    Attributes:
        number: Its number, from 0.
        state: Whether it was trained to its end, ended early, or failed. One that would train the
            same network by the same recipe as an earlier one has that one's values instead.
        reason: Why it ended early, failed, or was not trained; empty otherwise.
        model: The candidate, as it was given to `medzoo.search`; empty if the trial failed before
            it was chosen.
        architecture: Its architecture.
        recipe: The recipe; None if the trial failed before it was chosen.
        values: The objectives by name; empty unless it was trained to its end.
        params: What was chosen, by the names that Optuna's plots show.
        seconds: Time that it took.
        is_baseline: Whether it is a model's recipe without changes.
    """

    number: int
    state: State
    reason: str
    model: str
    architecture: str
    recipe: Recipe | None = field(repr=False)
    values: dict[Goal, float]
    params: dict[str, Any] = field(repr=False)
    seconds: float
    is_baseline: bool

    @classmethod
    def of(cls, trial: FrozenTrial, goals: tuple[Goal, ...]) -> TrialRecord:
        """Read a finished trial of a study.

        Args:
            trial: The trial.
            goals: The objectives of the study.
        """
        about = trial.user_attrs
        state = "pruned" if is_late(trial) else _STATES[trial.state.name]
        recipe = about.get("recipe")
        return cls(
            trial.number,
            state,
            about.get("reason", "its process ended"),
            about.get("model", ""),
            about.get("architecture", about.get("model", "")),
            None if recipe is None else Recipe.from_dict(recipe),
            dict(zip(goals, trial.values, strict=True)) if state == "complete" else {},
            dict(trial.params),
            about.get("seconds", 0.0),
            BASELINE in about,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as JSON-safe values."""
        return vars(self) | {"recipe": self.recipe and self.recipe.to_dict()}


def is_late(trial: FrozenTrial) -> bool:
    """Return whether a trial was cut off because the time was over.

    Args:
        trial: The trial.
    """
    return trial.state.name == "FAIL" and trial.user_attrs.get("reason", "").startswith(LATE)


def is_duplicate(trial: TrialRecord) -> bool:
    """Return whether a trial has the values of another one, instead of a training of its own.

    Args:
        trial: The trial.
    """
    return trial.reason.startswith(SAME)


@dataclass(frozen=True)
class SearchResult:
    """What a search has found.

    Attributes:
        goals: The objectives.
        trials: All finished trials, by their number.
        study: Optuna's study, with everything that is known about them.

    Example:
        >>> result = medzoo.search(data, trials=20)  # doctest: +SKIP
        >>> run = medzoo.train(result.model, data, result.recipe)  # doctest: +SKIP
    """

    goals: tuple[Goal, ...]
    trials: tuple[TrialRecord, ...] = field(repr=False)
    study: Study = field(repr=False)

    @property
    def ranked(self) -> list[TrialRecord]:
        """Trials that were trained to their end, the best in the first objective first.

        Among equal ones, the other objectives count, and then the number.
        """
        signs = {goal: -1 if direction(goal) == "maximize" else 1 for goal in self.goals}
        trained = [
            trial for trial in self.trials if trial.state == "complete" and not is_duplicate(trial)
        ]
        return sorted(
            trained, key=lambda trial: [sign * trial.values[goal] for goal, sign in signs.items()]
        )

    @property
    def best(self) -> TrialRecord:
        """The first of the ranked trials.

        Raises:
            TrainingError: If no trial was trained to its end.
        """
        if ranked := self.ranked:
            return ranked[0]
        reasons = [trial.reason for trial in self.trials if trial.reason]
        raise TrainingError(
            f"none of {len(self.trials)} trials was trained to its end "
            f"({reasons[0] if reasons else 'none was started'}); give more time or trials"
        )

    @property
    def model(self) -> str:
        """Architecture of the best trial, for `medzoo.train`.

        Trained weights from which it starts are the recipe's `backbone`.
        """
        return self.best.architecture

    @property
    def recipe(self) -> Recipe:
        """Recipe of the best trial, for `medzoo.train`."""
        assert self.best.recipe is not None
        return self.best.recipe

    @property
    def front(self) -> list[TrialRecord]:
        """Trials that no other one beats in all objectives, best in the first one first."""
        numbers = {trial.number for trial in self.study.best_trials}
        return [trial for trial in self.ranked if trial.number in numbers]

    def save(self, path: str | Path) -> Path:
        """Write the best recipe as JSON, which `medzoo.train` and ``medzoo train --recipe`` read.

        Args:
            path: The file, which has to end in ``.json``.

        Returns:
            The path.

        Raises:
            ValueError: If it ends in something else.
            WriteError: If it cannot be written.
        """
        if Path(path).suffix != ".json":
            raise ValueError(f"path={str(path)!r} does not end in .json, by which it is recognised")
        text = json.dumps(self.recipe.to_dict(), indent=2) + "\n"
        return write_atomically(path, text.encode(), "the recipe")

    def to_dict(self) -> dict[str, Any]:
        """Return the best trial and the table of trials as JSON-safe values."""
        return {
            "model": self.model,
            "recipe": self.recipe.to_dict(),
            "best": self.best.number,
            "front": [trial.number for trial in self.front],
            "trials": [trial.to_dict() for trial in self.trials],
        }
