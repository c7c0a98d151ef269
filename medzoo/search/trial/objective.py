"""One trial of a search: its recipe is chosen, its model trained, its scores recorded."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import optuna
import torch
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler

from medzoo.errors import unknown_name
from medzoo.models import architecture_of
from medzoo.search.goals import SCORES, Cost, Goal, Score, cost_of, score_of
from medzoo.search.result import BASELINE, SAME
from medzoo.search.setting import Setting
from medzoo.search.space import parameters_of, suggest, suggest_changes
from medzoo.search.storage.opening import StorageError
from medzoo.search.storage.repeats import (
    begun_before,
    mark_as_no_point,
    mark_beginning,
    number_without_repeats,
)
from medzoo.search.trial.duplicates import duplicate_of
from medzoo.search.trial.neighbours import neighbour_sampler
from medzoo.search.trial.pruning import EndEarly, OutOfTimeError
from medzoo.search.trial.unchanged import is_behind
from medzoo.training import Callback, Recipe, Run, train

_SAMPLERS = ("tpe", "random")
INTERRUPTED = "interrupted"
"""Why a trial ended that the user interrupted."""
_LONGEST = 500  # characters of a reason


def create_sampler(sampler: str | BaseSampler, seed: int, several: bool) -> BaseSampler:
    """Return what chooses the values of a trial.

    Args:
        sampler: ``"tpe"``, ``"random"``, or one of Optuna's samplers, which is used as it is.
        seed: Seed of its random numbers.
        several: Whether there are several objectives.

    Raises:
        TypeError: If it is neither a name nor a sampler.
        ValueError: If the name is unknown.
    """
    if isinstance(sampler, BaseSampler):
        return sampler
    if not isinstance(sampler, str):
        raise TypeError(f"sampler={sampler!r:.80} is neither a name nor a sampler of Optuna")
    if sampler == "random":
        return RandomSampler(seed=seed)
    if sampler == "tpe":
        # Grouped: what depends on a choice is not in every trial.
        return TPESampler(seed=seed, multivariate=not several, group=not several)
    raise unknown_name("sampler", sampler, _SAMPLERS)


class Objective:
    """Runs the trials of a search; Optuna calls it.

    Args:
        setting: What decides the search.
        sampler: As for `create_sampler`.
        deadline: When the search ends, on the clock ``time.monotonic``.
        callback: Sees each epoch.
        trials: Number of trials that the study is to have; None if it is not limited.

    Attributes:
        number: Number of the last trial; None before it is known.
        is_surplus: Whether that was not run, because other processes had begun enough trials.
        failure: What the storage raised during it, which says nothing about the trial.
    """

    def __init__(
        self,
        setting: Setting,
        sampler: str | BaseSampler,
        deadline: float,
        callback: Callback,
        trials: int | None = None,
    ) -> None:
        self.setting, self.sampler = setting, sampler
        self.deadline, self.callback = deadline, callback
        self.trials, self.is_surplus = trials, False
        self.number: int | None = None
        self.failure: StorageError | None = None

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Train a model, or as many as there are folds, and return the values of the objectives.

        Args:
            trial: What Optuna knows about the trial; recipe, seconds and reason are added to it.

        Raises:
            optuna.TrialPruned: If the trial ends early.
            OutOfTimeError: If it cannot end in time.
            Exception: Whatever the training raises.
        """
        try:
            return self._run(trial)
        except StorageError as error:
            self.failure = error
            raise

    def reset(self) -> None:
        """Forget the last trial, before the next one is asked for."""
        self.number, self.is_surplus, self.failure = None, False, None

    def _run(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Train, and keep how it went."""
        self.number, several = trial.number, len(self.setting.goals) > 1
        mark_beginning(trial)
        if isinstance(self.sampler, GridSampler):
            mark_as_no_point(trial)
        # Random numbers depend on the trial's number alone, so they are the same after a restart.
        known = trial.study.get_trials(deepcopy=False)
        number = number_without_repeats(trial.number, known)
        # Several processes may begin their last trials at once; the first ones are run.
        self.is_surplus = (
            self.trials is not None and begun_before(trial.number, known) >= self.trials
        )
        if self.is_surplus:
            raise RuntimeError("other processes have begun the last trials")
        seed = (1_000_003 * self.setting.seed + number) % (1 << 32)
        sampler = create_sampler(self.sampler, seed, several)
        if self.sampler == "tpe":
            sampler = neighbour_sampler(self.setting, number, seed, known) or sampler
        trial.study.sampler = sampler
        reason, began = "", time.monotonic()
        try:
            model, recipe = self._choose(trial)
            trial.set_user_attr("model", model)
            trial.set_user_attr("architecture", architecture_of(model))
            trial.set_user_attr("recipe", recipe.to_dict())
            if (twin := duplicate_of(trial, model, recipe)) is not None:
                reason = f"{SAME} {twin.number}"
                return tuple(twin.values) if several else twin.values[0]
            return self._train(trial, model, recipe)
        except KeyboardInterrupt:
            reason = INTERRUPTED
            raise
        except (optuna.TrialPruned, OutOfTimeError) as early:
            reason = str(early)
            raise
        except Exception as error:
            reason = _reason(error)
            raise
        finally:
            trial.set_user_attr("seconds", time.monotonic() - began)
            trial.set_user_attr("reason", reason[:_LONGEST])
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()

    def _train(self, trial: optuna.Trial, model: str, recipe: Recipe) -> float | tuple[float, ...]:
        scores: dict[Goal, list[float]] = {goal: [] for goal in self.setting.goals}
        for number, part in enumerate(self.setting.parts):
            # Only those that are not behind in the first fold are trained on the others.
            judged = trial if number == 0 and len(self.setting.goals) == 1 else None
            early = EndEarly(
                judged,
                part,
                cast(Score, self.setting.goals[0]),
                self.deadline,
                self.setting.device,
                partial(is_behind, trial, next(iter(self.setting.recipes))),
            )
            run = train(
                architecture_of(model),
                part,
                recipe,
                device=self.setting.device,
                progress=False,
                ood_detector=False,
                callbacks=[self.callback, early],
            )
            for goal, values in scores.items():
                values.append(_value(run, goal))
        values = [statistics.fmean(values) for values in scores.values()]
        return values[0] if len(values) == 1 else tuple(values)

    def _choose(self, trial: optuna.Trial) -> tuple[str, Recipe]:
        """Return model and recipe of a trial."""
        setting, models = self.setting, list(self.setting.recipes)
        model = trial.suggest_categorical("model", models) if len(models) > 1 else models[0]
        base = setting.recipes[model]
        changes: Mapping[str, Any] = {}
        if BASELINE in trial.user_attrs:
            for name, (domain, _) in parameters_of(base, setting.space).items():
                suggest(trial, name, domain)
            recipe = base
        else:
            changes = suggest_changes(trial, setting.space, base)
            recipe = with_last_validation(base, base.with_changes(**changes))
        if setting.architecture:
            varied = changes.get("model_args", {})
            args = self._architecture(trial, model, recipe.model_args, varied)
            recipe = recipe.with_changes(model_args=args)
        return model, recipe

    def _architecture(
        self,
        trial: optuna.Trial,
        model: str,
        fixed: Mapping[str, Any],
        varied: Mapping[str, Any],
    ) -> dict[str, Any]:
        from medzoo.search.architectures import check_fixed_args, suggest_architecture

        part = self.setting.parts[0]
        # What a function changes is not known before its trial.
        vary = self.setting.vary_of(model)
        check_fixed_args(model, part.info, part.size, fixed, varied, vary=vary)
        return suggest_architecture(
            trial,
            model,
            part.info,
            part.size,
            max_params=self.setting.max_params,
            max_mflop=self.setting.max_mflop,
            model_args=fixed,
            vary=vary,
        )


def with_last_validation(base: Recipe, recipe: Recipe) -> Recipe:
    """Let only the last epoch be validated if that was so before the number of epochs changed.

    Args:
        base: The recipe before it was changed.
        recipe: The recipe.
    """
    if base.validate_every < base.epochs or recipe.validate_every != base.validate_every:
        return recipe
    return recipe.with_changes(validate_every=recipe.epochs)


def _value(run: Run, goal: Goal) -> float:
    if goal in SCORES:
        return score_of(run, goal)
    return cost_of(run.model, cast(Cost, goal))


def _reason(error: Exception) -> str:
    """Return why a trial failed, in one line."""
    text = " ".join(str(error).split())
    is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    # How PyTorch says on the CPU that there is not enough memory.
    is_memory = is_memory or "allocate memory" in text or "not enough memory" in text
    return f"out of memory: {text}" if is_memory else f"{type(error).__name__}: {text}"
