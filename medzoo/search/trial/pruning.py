"""Ending trials early: those that are behind, and those that the time does not suffice for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import optuna
import torch
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner

from medzoo.datasets import Dataset
from medzoo.errors import unknown_name
from medzoo.search.goals import Score
from medzoo.search.result import LATE
from medzoo.training import Callback, RunState
from medzoo.training.loop import validate

Pruner = Literal["successive_halving", "hyperband", "none"]

FIRST_RUNG = 25
"""Percent of its epochs after which a trial is compared with others for the first time."""
FACTOR = 2
"""The better half goes on; the next rung is at twice the percentage."""
_END = 99
"""Percent from which on no trial is compared: what is so close to its end may reach it."""
_PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "successive_halving": lambda: SuccessiveHalvingPruner(FIRST_RUNG, FACTOR),
    "hyperband": lambda: HyperbandPruner(FIRST_RUNG, 100, FACTOR),
    "none": NopPruner,
}


class OutOfTimeError(Exception):
    """A trial cannot finish another epoch in time.

    It is not pruned, in Optuna's words, because this says nothing against what it tries.
    """


def create_pruner(pruner: Pruner | BasePruner | None, several: bool) -> BasePruner:
    """Return the pruner of a search.

    Args:
        pruner: Its name, or one of Optuna's; None for successive halving where it is possible.
        several: Whether there are several objectives.

    Raises:
        TypeError: If it is neither a name nor a pruner.
        ValueError: If the name is unknown, or there are several objectives.
    """
    if pruner is None:
        pruner = "none" if several else "successive_halving"
    if isinstance(pruner, str) and pruner not in _PRUNERS:
        raise unknown_name("pruner", pruner, _PRUNERS)
    created = _PRUNERS[pruner]() if isinstance(pruner, str) else pruner
    if not isinstance(created, BasePruner):
        raise TypeError(f"pruner={pruner!r:.80} is neither a name nor a pruner of Optuna")
    if several and not isinstance(created, NopPruner):
        raise ValueError(
            "trials with several objectives cannot be pruned, because none of them is behind in "
            "all; leave pruner= out, or give one objective"
        )
    return created


class EndEarly(Callback):
    """End a trial that is behind, or that cannot finish another epoch in time.

    Trials are compared at the same share of their epochs, not after as many, because the learning
    rate of a short one has fallen further. The recipe's own validations are used where there are
    any; others do not change which epoch is kept.

    Args:
        trial: The trial, or None if it is only to end in time.
        data: Its training and validation images.
        score: What trials are compared by.
        deadline: When the search ends, on the clock ``time.monotonic``.
        device: Where it is trained.
        is_behind: Says after a share of its epochs, in percent, and if the pruner would end it,
            whether it is behind; by default it is.
    """

    def __init__(
        self,
        trial: optuna.Trial | None,
        data: Dataset,
        score: Score,
        deadline: float,
        device: torch.device,
        is_behind: Callable[[int], bool] = lambda percent: True,
    ) -> None:
        self.trial, self.data, self.score, self.device = trial, data, score, device
        self.deadline, self.is_behind = deadline, is_behind
        self._rung: float = FIRST_RUNG
        self._compared = 0  # percent; of more than 100 epochs, several are at the same one

    def on_epoch_end(self, state: RunState) -> None:
        """Compare, and end the run if it is behind or late.

        Args:
            state: What is known about the run.

        Raises:
            OutOfTimeError: If it cannot finish another epoch in time.
            optuna.TrialPruned: If it is behind.
        """
        if state.stop_reason or state.epoch == state.recipe.epochs:
            return  # it has ended by itself
        if time.monotonic() + state.row["seconds"] > self.deadline:
            raise OutOfTimeError(f"{LATE} after {_epochs(state)}")
        percent = 100 * state.epoch // state.recipe.epochs
        is_rung = percent >= self._rung
        if self.trial is None or not self._compared < percent < _END:
            return
        if not (is_rung or self.score in state.row):
            return
        self._compared = percent
        while percent >= self._rung:
            self._rung *= FACTOR
        value = state.row.get(self.score)
        if value is None:
            precision = state.recipe.precision
            scores = validate(state.model, self.data.val, self.device, precision, warn=False)
            value = scores[self.score]
        self.trial.report(value, percent)
        if self.trial.should_prune() and self.is_behind(percent):
            raise optuna.TrialPruned(f"{self.score} {value:.4f} after {_epochs(state)}: behind")


def _epochs(state: RunState) -> str:
    return f"{state.epoch} of {state.recipe.epochs} epochs"
