"""The study that a search keeps its trials in, and the loop over them."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.samplers import GridSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from medzoo.errors import TrainingError
from medzoo.escape import for_display
from medzoo.search.goals import direction
from medzoo.search.objective import Objective
from medzoo.search.progress import SearchDisplay
from medzoo.search.pruning import LATE
from medzoo.search.result import SearchResult, TrialRecord
from medzoo.search.setting import Setting
from medzoo.search.space import parameters_of
from medzoo.search.storage import GRACE, last_sign, replaced, retry

FAILURES = 10
"""Trials that may fail one after the other before the search gives up."""

_READY = "ready"  # attribute of a study whose first trials are in the queue
_PATIENCE = 30.0  # seconds that other processes give the one that created the study for that
_PAUSE = 1.0  # seconds between looks at what other processes do


def open_study(
    name: str, setting: Setting, storage: BaseStorage, pruner: BasePruner
) -> optuna.Study:
    """Return a study of a storage, whose first trials are the recipes that the search starts from.

    Args:
        name: Name of the study.
        setting: What decides the search.
        storage: Where it is kept.
        pruner: What ends trials early.
    """
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[direction(goal) for goal in setting.goals],
            pruner=pruner,
        )
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        patience = time.monotonic() + _PATIENCE
        while _READY not in study.user_attrs and time.monotonic() < patience:
            time.sleep(_PAUSE / 10)
    if _READY not in study.user_attrs:  # this process, or nobody, puts them into the queue
        for model, recipe in setting.recipes.items():
            values = {
                name: value for name, (_, value) in parameters_of(recipe, setting.space).items()
            }
            choice: dict[str, Any] = {"model": model} if len(setting.recipes) > 1 else {}
            if setting.architecture:
                from medzoo.search.architectures import default_architecture_params

                part = setting.parts[0]
                choice |= default_architecture_params(model, part.info, part.size)
            study.enqueue_trial(
                {**choice, **values}, user_attrs={"baseline": model}, skip_if_exists=True
            )
        study.set_user_attr("objectives", list(setting.goals))
        study.set_user_attr(_READY, True)
    return study


def run_trials(
    study: optuna.Study,
    objective: Objective,
    display: SearchDisplay,
    trials: int | None,
) -> None:
    """Run trials until the study has enough of them, is stopped, or the time is over.

    Args:
        study: The study, in which other processes may work at the same time.
        objective: Runs a trial, and knows when the time is over.
        display: Shows the trials.
        trials: Number of trials that the study is to have; None for as many as the time allows.

    Raises:
        TrainingError: If many trials fail one after the other, or the storage fails.
        KeyboardInterrupt: If the user interrupts it; the trial goes back into the queue.
    """
    failures, is_waiting = 0, False
    while time.monotonic() < objective.deadline:
        if _is_exhausted(study):
            return
        if trials is not None:
            known = study.get_trials(deepcopy=False)
            finished, running = len(finished_trials(known)), _numbers(known, TrialState.RUNNING)
            if finished >= trials and not running:
                return
            if finished + len(running) >= trials:
                # Others are at the last trials; if one of them dies, its trial is waiting.
                if not is_waiting:
                    display.waiting(running, GRACE)
                    is_waiting = True
                time.sleep(_PAUSE)
                optuna.storages.fail_stale_trials(study)
                continue
        if (record := _run_one(study, objective)) is None:
            continue
        result = result_of(study, objective.setting)
        best = next(iter(result.ranked), None)
        display.trial(record, best, len(result.trials), result.goals)
        # A sampler may stop the study; what was interrupted and is repeated is still missing.
        is_stopped = study._stop_flag and not _waiting(study)
        if record.reason.startswith(LATE) or is_stopped:
            return
        failures = failures + 1 if record.state == "failed" else 0
        if failures == FAILURES:
            raise TrainingError(
                f"{FAILURES} trials failed one after the other, the last one with: "
                f"{for_display(record.reason)}"
            )


def _run_one(study: optuna.Study, objective: Objective) -> TrialRecord | None:
    """Run one trial; None if it is surplus, or was taken over, because this process seemed dead."""
    last: list[FrozenTrial] = []
    try:
        study.optimize(
            objective,
            n_trials=1,
            catch=(Exception,),
            callbacks=[lambda _, trial: last.append(trial)],
            gc_after_trial=objective.setting.device.type != "cpu",
        )
    except KeyboardInterrupt:
        for trial in study.get_trials(deepcopy=False):
            if trial.number == objective.number and trial.state == TrialState.FAIL:
                retry(study, trial)
        raise
    except UpdateFinishedTrialError:
        return None
    except ValueError as error:
        if str(error).startswith("Cannot tell"):
            return None
        raise
    if objective.is_surplus:
        retry(study, last[0])  # for a later call that wants more trials
        return None
    return TrialRecord.of(last[0], objective.setting.goals)


def _is_exhausted(study: optuna.Study) -> bool:
    """Return whether the sampler has nothing left to try, as a grid that an earlier call tried."""
    sampler = study.sampler
    return isinstance(sampler, GridSampler) and sampler.is_exhausted(study) and not _waiting(study)


def _waiting(study: optuna.Study) -> list[int]:
    return _numbers(study.get_trials(deepcopy=False), TrialState.WAITING)


def finished_trials(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that have ended by themselves.

    Those of processes that died are not among them if they were put back into the queue.

    Args:
        trials: All trials of a study.
    """
    again = replaced(trials)
    return [one for one in trials if one.state.is_finished() and one.number not in again]


def seconds_spent(study: optuna.Study) -> float:
    """Return how long a study has been worked on; time of several processes at once counts once.

    Args:
        study: The study.
    """
    started = [one for one in study.get_trials(deepcopy=False) if one.datetime_start is not None]
    total, until = 0.0, -math.inf
    for start, end in sorted(map(_span, started)):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _span(trial: FrozenTrial) -> tuple[float, float]:
    """Return from when to when a trial ran; if its process died, until its last sign of life."""
    assert trial.datetime_start is not None
    start = trial.datetime_start.timestamp()
    ended_itself = trial.state.is_finished() and "seconds" in trial.user_attrs
    return start, start + trial.user_attrs["seconds"] if ended_itself else last_sign(trial)


def result_of(study: optuna.Study, setting: Setting) -> SearchResult:
    """Return what a study has found so far.

    Args:
        study: The study.
        setting: What decided the search.
    """
    trials = finished_trials(study.get_trials(deepcopy=False))
    records = tuple(TrialRecord.of(one, setting.goals) for one in trials)
    return SearchResult(setting.goals, records, study)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from logging each trial and from warning that some of its parts may change."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _numbers(trials: list[FrozenTrial], state: TrialState) -> list[int]:
    return [one.number for one in trials if one.state == state]
