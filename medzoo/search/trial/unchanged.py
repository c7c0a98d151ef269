"""The trials of the unchanged recipes, one of each model: which of them are behind."""

from __future__ import annotations

import math
from collections.abc import Sequence

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from medzoo.search.goals import direction
from medzoo.search.result import BASELINE
from medzoo.search.setting import Setting
from medzoo.search.storage.repeats import replaced
from medzoo.search.trial.pruning import FACTOR, FIRST_RUNG

_HALF = FIRST_RUNG * FACTOR
_ENDED = (TrialState.FAIL, TrialState.PRUNED)


def is_behind(trial: optuna.Trial, first: str, percent: int) -> bool:
    """Return whether a trial that the pruner would end is to be ended.

    The unchanged recipe of the first model says what a search gains, so it is trained to its end.
    That of another model is compared with it. Its model may learn more slowly, so it has until the
    half of its epochs.

    Args:
        trial: The trial.
        first: Name of the first model.
        percent: Share of its epochs that is over.
    """
    model = trial.user_attrs.get(BASELINE)
    if model is None:
        return True
    if model == first or percent < _HALF:
        return False
    sign = -1 if trial.study.direction == StudyDirection.MINIMIZE else 1
    trials = trial.study.get_trials(deepcopy=False)
    own = trials[trial.number].intermediate_values[percent]
    for other in trials:
        # One that failed later is no measure.
        if other.user_attrs.get(BASELINE) == first and other.state not in _ENDED:
            reached = [step for step in other.intermediate_values if step <= percent]
            if reached:
                return sign * own < sign * other.intermediate_values[max(reached)]
    return False


def better_models(setting: Setting, trials: Sequence[FrozenTrial]) -> list[str]:
    """Return the models whose unchanged recipes are worth changing: the better half.

    While one is being trained by another process, and with several objectives, they are all models
    whose recipes neither failed nor were behind.

    Args:
        setting: What decides the search.
        trials: All trials of the study.
    """
    again = replaced(trials)
    unchanged = {
        one.user_attrs[BASELINE]: one
        for one in trials
        if BASELINE in one.user_attrs and one.number not in again
    }
    left = [name for name in setting.recipes if unchanged[name].state not in _ENDED]
    values = {name: unchanged[name].value for name in left if len(setting.goals) == 1}
    scores = {name: value for name, value in values.items() if value is not None}
    if len(scores) < len(left):
        return left
    is_score = direction(setting.goals[0]) == "maximize"
    best = sorted(scores, key=scores.__getitem__, reverse=is_score)
    half = best[: math.ceil(len(setting.recipes) / 2)]
    return [name for name in left if name in half]
