"""Trials that are run again, because they did not end by themselves.

A trial that has started cannot go back into the queue. A new one, with the same parameters, takes
its place, and knows the numbers of those before it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

RETRIES = 2
"""How often a trial whose process died is tried again; it may be what kills the process."""
ALIVE = "alive"
"""The attribute of a trial with the time of its last sign of life, in seconds since 1970."""
BEGAN = "began"
"""The attribute of a trial with the time when it began, in seconds since 1970."""

_CRASHES = "crashes"  # attribute: how often the process of the trial or of one before it died
_HISTORY = "retry_history"  # attribute: numbers of the trials that it repeats, as Optuna has it
_KEPT = ("fixed_params", "grid_id", "search_space")  # Optuna's: what is to be tried, also by a grid
_OF_ONE_RUN = (BEGAN, "seconds", "reason")  # attributes that say how one run of a trial went


def mark_beginning(trial: optuna.Trial) -> None:
    """Keep the time at which a trial begins.

    What databases have is the local time without its zone, which other machines misunderstand.

    Args:
        trial: The trial.
    """
    trial.set_user_attr(BEGAN, time.time())


def mark_as_no_point(trial: optuna.Trial) -> None:
    """Say that a trial is none of the points of a grid, unless it is one.

    When one point of the grid is left, Optuna reads the point of each trial that ends, and fails if
    it has none because it came from the queue.

    Args:
        trial: A trial of a search with `optuna.samplers.GridSampler`.
    """
    storage, number = trial.storage, trial._trial_id
    if "grid_id" not in storage.get_trial_system_attrs(number):
        storage.set_trial_system_attr(number, "grid_id", -1)
        storage.set_trial_system_attr(number, "search_space", {})


def repeat(study: optuna.Study, trial: FrozenTrial, *, died: bool) -> None:
    """Put a trial that did not end by itself back into the queue.

    Args:
        study: The study.
        trial: The trial.
        died: Whether its process died. That is repeated `RETRIES` times at most.
    """
    before = trial.system_attrs
    if (crashes := before.get(_CRASHES, 0) + died) > RETRIES:
        return
    # Without the rungs that it had climbed: it has to compete on each of them again.
    kept = {name: before[name] for name in _KEPT if name in before}
    history = [*before.get(_HISTORY, ()), trial.number]
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={k: v for k, v in trial.user_attrs.items() if k not in _OF_ONE_RUN},
            system_attrs={**kept, _HISTORY: history, _CRASHES: crashes},
        )
    )


def replaced(trials: Iterable[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that have been put back into the queue, as new trials.

    Args:
        trials: All trials of a study.
    """
    return {number for one in trials for number in one.system_attrs.get(_HISTORY, ())}


def in_queue_again(trials: Iterable[FrozenTrial]) -> list[list[int]]:
    """Return the numbers of the runs before, for each trial that is to be repeated.

    Args:
        trials: All trials of a study.
    """
    waiting = [one for one in trials if one.state == TrialState.WAITING]
    return [one.system_attrs[_HISTORY] for one in waiting if _HISTORY in one.system_attrs]


def begun_before(number: int, trials: Iterable[FrozenTrial]) -> int:
    """Count the trials with smaller numbers that are running, or have ended by themselves.

    Args:
        number: Number of a trial.
        trials: All trials of its study.
    """
    trials = list(trials)
    again = replaced(trials)
    return sum(
        one.number < number and one.number not in again and one.state != TrialState.WAITING
        for one in trials
    )


def number_without_repeats(number: int, trials: Sequence[FrozenTrial]) -> int:
    """Return the number that a trial would have if none had been put back into the queue.

    Args:
        number: Number of the trial; one that repeats another gets the number of that one.
        trials: All trials of its study, by number.
    """
    history = [one.system_attrs.get(_HISTORY, ()) for one in trials]
    first = min([number, *history[number]])
    return first - sum(map(bool, history[:first]))


def beginning(trial: FrozenTrial) -> float:
    """Return when a trial began, in seconds since 1970.

    Args:
        trial: A trial that has started.
    """
    assert trial.datetime_start is not None
    signs = (trial.user_attrs.get(BEGAN), trial.system_attrs.get(ALIVE))
    # Only a trial that is just beginning has neither.
    return next((sign for sign in signs if sign is not None), trial.datetime_start.timestamp())


def last_sign(trial: FrozenTrial) -> float:
    """Return when a trial was last known to be alive, in seconds since 1970.

    Args:
        trial: A trial that has started.
    """
    return max(trial.system_attrs.get(ALIVE, 0.0), beginning(trial))
