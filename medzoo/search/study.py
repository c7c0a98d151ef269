"""The study that a search keeps its trials in, and the loop over them."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from medzoo.search.progress import SearchDisplay
from medzoo.search.result import BASELINE, SearchResult, TrialRecord, is_duplicate, is_late
from medzoo.search.setting import Setting
from medzoo.search.space import parameters_of
from medzoo.search.storage.opening import GRACE, StorageError
from medzoo.search.storage.repeats import beginning, in_queue_again, last_sign, repeat, replaced
from medzoo.search.trial.objective import INTERRUPTED, Objective

FAILURES = 10
"""Trials that may fail one after the other before the search gives up."""

DUPLICATES = 20
"""Trials that may be duplicates one after the other before a search without their number ends."""

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
                choice |= default_architecture_params(
                    model,
                    part.info,
                    part.size,
                    model_args=setting.recipes[model].model_args,
                    vary=setting.vary_of(model),
                )
            study.enqueue_trial(
                {**choice, **values}, user_attrs={BASELINE: model}, skip_if_exists=True
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
    failures, duplicates, is_waiting = 0, 0, False
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
        if (trial := _run_one(study, objective)) is None:
            continue
        record = TrialRecord.of(trial, objective.setting.goals)
        result = result_of(study, objective.setting)
        best = next(iter(result.ranked), None)
        display.trial(record, best, len(result.trials), result.goals)
        # A sampler may stop the study; what was interrupted and is repeated is still missing.
        is_stopped = study._stop_flag and not _waiting(study)
        if is_late(trial) or is_stopped:
            return
        if is_duplicate(record):
            duplicates += 1
            if trials is None and duplicates == DUPLICATES:
                return  # a small space, of which nothing is left
            continue
        duplicates = 0
        failures = failures + 1 if record.state == "failed" else 0
        if failures == FAILURES:
            raise TrainingError(
                f"{FAILURES} trials failed one after the other, the last one with: "
                f"{for_display(record.reason)}"
            )


def _run_one(study: optuna.Study, objective: Objective) -> FrozenTrial | None:
    """Run one trial; None if it is surplus, or was taken over, because this process seemed dead."""
    last: list[FrozenTrial] = []
    objective.reset()
    try:
        with _unmasked():
            study.optimize(
                objective,
                n_trials=1,
                catch=(Exception,),
                callbacks=[lambda _, trial: last.append(trial)],
                gc_after_trial=objective.setting.device.type != "cpu",
            )
    except KeyboardInterrupt:
        if objective.number is not None:
            # If nothing can be kept now, the trial counts as that of a dead process.
            with suppress(StorageError):
                _leave(study, objective.number)
        raise
    except UpdateFinishedTrialError:
        return None
    except ValueError as error:
        if str(error).startswith("Cannot tell"):
            return None
        raise
    if objective.failure is not None:
        repeat(study, last[0], died=False)
        raise objective.failure
    if objective.is_surplus:
        repeat(study, last[0], died=False)  # for a later call that wants more trials
        return None
    if is_late(last[0]):
        repeat(study, last[0], died=False)  # for a later call that has more time
    return last[0]


@contextmanager
def _unmasked() -> Iterator[None]:
    """Raise what happened while the end of a trial was noted, which Optuna stumbles over."""
    try:
        yield
        return
    except (AssertionError, UnboundLocalError) as error:
        masked = error.__context__
        if not isinstance(masked, KeyboardInterrupt | StorageError):
            raise
    raise masked


def _leave(study: optuna.Study, number: int) -> None:
    """Put a trial back into the queue that was interrupted, if it had not ended before."""
    if study.get_trials(deepcopy=False)[number].state == TrialState.RUNNING:
        # It was interrupted while its end was being noted, and another process may have done that.
        with suppress(UpdateFinishedTrialError, ValueError):
            study.tell(number, state=TrialState.FAIL)
    trials = study.get_trials(deepcopy=False)
    trial = trials[number]
    if trial.state != TrialState.FAIL or number in replaced(trials):
        return
    if is_late(trial) or trial.user_attrs.get("reason", INTERRUPTED) in (INTERRUPTED, ""):
        repeat(study, trial, died=False)


def _is_exhausted(study: optuna.Study) -> bool:
    """Return whether the sampler has nothing left to try, as a grid that an earlier call tried."""
    sampler = study.sampler
    return isinstance(sampler, GridSampler) and sampler.is_exhausted(study) and not _waiting(study)


def _waiting(study: optuna.Study) -> list[int]:
    return _numbers(study.get_trials(deepcopy=False), TrialState.WAITING)


def finished_trials(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that have ended by themselves.

    Those that were put back into the queue, because they did not, are not among them.

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
    start = beginning(trial)
    ended_itself = trial.state.is_finished() and "seconds" in trial.user_attrs
    return start, start + trial.user_attrs["seconds"] if ended_itself else last_sign(trial)


def result_of(study: optuna.Study, setting: Setting) -> SearchResult:
    """Return what a study has found so far.

    Args:
        study: The study.
        setting: What decided the search.
    """
    trials = study.get_trials(deepcopy=False)
    # Until a trial that was cut off is trained again, what it was is all that is known about it.
    late = [[trials[number] for number in runs] for runs in in_queue_again(trials)]
    cut_off = [run for runs in late for run in list(filter(is_late, runs))[-1:]]
    known = sorted([*finished_trials(trials), *cut_off], key=lambda one: one.number)
    records = tuple(TrialRecord.of(one, setting.goals) for one in known)
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
