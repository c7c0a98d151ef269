"""`medzoo.search`: find a better recipe, and if wanted a better architecture, for a data set."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from medzoo.datasets import Dataset
from medzoo.datasets.validation import check_dataset
from medzoo.device import resolve_device
from medzoo.distributed import is_torchrun
from medzoo.errors import unknown_name
from medzoo.lazy import import_optional
from medzoo.models import architecture_of
from medzoo.search.architectures import check_fixed_args, searchable_args
from medzoo.search.folds import validation_parts
from medzoo.search.goals import Goal, check_goals
from medzoo.search.result import SearchResult
from medzoo.search.setting import Setting
from medzoo.search.space import (
    Space,
    check_model_args,
    check_space,
    default_space,
    model_args_of,
)
from medzoo.spec.checks import check_whole, is_finite
from medzoo.training import Recipe, load_recipe
from medzoo.training.checks import check_run
from medzoo.training.train import create_for_recipe

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from medzoo.search.trial.pruning import Pruner

MODELS = ("simple_cnn", "efficientnet", "advanced_cnn")
"""Architectures among which a search chooses by default."""


def search(
    data: Dataset,
    models: str | Path | Sequence[str | Path] = MODELS,
    space: Space | None = None,
    *,
    recipe: Recipe | Mapping[str, Any] | str | Path = "default",
    trials: int | None = None,
    time_limit: float | None = None,
    objectives: Goal | Sequence[Goal] = "val_auc",
    folds: int = 1,
    groups: Sequence[Hashable] | np.ndarray | torch.Tensor | None = None,
    architecture: bool | Sequence[str] = False,
    max_params: float | None = None,
    max_mflop: float | None = None,
    storage: str | Path | None = "study.db",
    sampler: Literal["tpe", "random"] | BaseSampler = "tpe",
    pruner: Pruner | BasePruner | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool | None = None,
) -> SearchResult:
    """Search for the recipe that trains the best model for a data set.

    A trial trains one model by one recipe, and is judged on validation images. The test split is
    not handed to it. The first trials are the models' recipes without changes. With the sampler
    ``"tpe"``, nine more change a few of their values, unless `space` is a function. What follows is
    chosen by Optuna, which learns from all trials before. Trials that are behind after a quarter or
    half of their epochs end early; the recipe of the first model never does, and those of the other
    models not before the half.

    All trials are kept in `storage`. If the process is killed, the same call goes on, and several
    processes, on one machine or many, may work on a search together: each makes the same call.
    Calls with other data, models or options begin searches of their own in the same storage; only
    `trials` and `time_limit` may change, and count for all calls together. A trial that the end of
    the time cut off is trained again by the next call that has time left, and counts once.

    Args:
        data: Training and validation images. Without a validation split, a part of the training
            split is used for it, as one warning says.
        models: What is trained, or several candidates to choose from: architectures, as for
            `medzoo.train`, which start from random weights, or trained weights, as for
            `medzoo.finetune` (``"simple_cnn.bloodmnist"``, a weights file).
        space: What may change: a mapping of the recipe's fields to choices or ranges, or a function
            of an Optuna trial and the recipe that returns changes. By default
            `medzoo.search.default_space`'s; ``{}`` to keep the recipe and search the architecture
            alone. A function with other code begins another search; the
            values that it takes from elsewhere do not count.
        recipe: What the search starts from and the space does not change, as for `medzoo.train`.
            For trained weights, ``"default"`` is the recipe ``"finetune"``.
        trials: Number of trials after which the search ends, those that failed included.
        time_limit: Seconds after which it ends. Give this, `trials`, or both.
        objectives: What is best: ``"val_auc"``, ``"val_acc"`` or ``"val_loss"``. Or several, of
            which the first is one of these: they are weighed against costs, ``"parameters"``,
            ``"mflop"`` or ``"latency"`` (see `SearchResult.front`). Such trials are not ended
            early.
        folds: 1 to validate on the validation split. For small data sets, a number of parts into
            which training and validation images are divided, each of which validates once: slower,
            but less a matter of luck.
        groups: With `folds`, patient or lesion of each training and then each validation image; the
            images of a group stay in one fold.
        architecture: Also search widths, depths and other arguments of the architectures, which
            neither the recipe nor the space may set then; or only those named, for example
            ``["widths", "depths", "strides"]``. Trained weights have theirs.
        max_params: Largest number of parameters of a model; implies `architecture`, of which
            ``widths`` must be. The networks of the first trials are made narrower if they have
            more.
        max_mflop: Most floating-point operations for one image, in millions; implies
            `architecture`.
        storage: A file ending in ``.db`` (SQLite) or ``.log`` (a journal); the URL of a database,
            ``"postgresql://user@host/name"``; or None to keep nothing.
        sampler: ``"tpe"``, ``"random"`` or one of Optuna's, which counts by its class: with other
            arguments, it goes on with the same search. One that stops the study, as a grid does at
            its end, ends the search.
        pruner: ``"successive_halving"`` (the default for one objective), ``"hyperband"``,
            ``"none"`` or one of Optuna's, which counts by its class, too. Steps are percent of a
            trial's epochs.
        seed: Seed of the choices. A single process makes the same ones again. The recipe has the
            seed of the trainings.
        device: As for `medzoo.train`.
        progress: Show a progress bar; by default on a terminal and in Jupyter, and elsewhere a line
            per trial.

    Returns:
        The best recipe, and all trials, also those of earlier calls.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is wrong, neither `trials` nor `time_limit` is given, the
            validation images are all of one class, a recipe cannot be trained, or no network of
            an architecture is as small as `max_params` and `max_mflop` demand.
        ImportError: If Optuna is not installed: ``pip install 'medzoo[search]'``.
        DatasetError: If the data cannot be divided into `folds`.
        TrainingError: If the storage cannot be opened or fails, or ten trials fail one after the
            other. One that fails is recorded, and the search goes on.

    Example:
        >>> result = medzoo.search(data, "simple_cnn", time_limit=3600)  # doctest: +SKIP
        >>> run = medzoo.train(result.model, data, result.recipe)  # doctest: +SKIP
    """
    import_optional("optuna", "medzoo.search needs", "search")
    from medzoo.search.budget import check_budget
    from medzoo.search.progress import SearchDisplay
    from medzoo.search.storage.opening import open_storage
    from medzoo.search.study import open_study, quiet, result_of, run_trials, seconds_spent
    from medzoo.search.trial.objective import Objective, create_sampler
    from medzoo.search.trial.pruning import create_pruner

    check_dataset("data", data)
    _check_limits(trials, time_limit)
    check_whole("seed", seed, 0)
    if is_torchrun():
        raise ValueError(
            "torchrun shares one training among processes, but each process of a search runs "
            "trials of its own; start the same command several times instead"
        )
    goals = check_goals(objectives)
    names = _check_models(models)
    is_limited = max_params is not None or max_mflop is not None
    shape = _check_architecture(architecture, is_limited, names, data)
    parts = validation_parts(data, folds, groups)
    # As `medzoo.train` chooses it, which also holds out a part of the training images first.
    whole = parts[0] if folds == 1 else data
    recipes = {name: _first_recipe(recipe, name, whole) for name in names}
    if space is None:
        space = default_space(list(recipes.values()), data.info, len(parts[0].train))
    for model, base in recipes.items():
        if base.distillation:
            raise ValueError(
                f"the recipe of {model} has distillation={base.distillation}, but a search has no "
                "teacher; set distillation to 0, and train with the teacher by what was found"
            )
        check_space(space, base, may_be_empty=bool(shape))
        check_model_args(space, architecture_of(model), data)
        if shape:
            varied, known = model_args_of(space), searchable_args(model, data.info, data.size)
            named = shape if isinstance(shape, tuple) else known
            vary = [name for name in known if name in named]
            check_fixed_args(model, data.info, data.size, base.model_args, varied, vary=vary)
            if not vary and not space:
                raise ValueError(
                    f"nothing of {model} would change: it has no argument of architecture=, and "
                    f"space= is empty; leave it out of models=, or name some of {', '.join(known)}"
                )
        if not base.backbone:  # what weights bring along is known when they are loaded
            _check_start(base, model, parts[0], resolve_device(device))
    setting = Setting(
        parts,
        recipes,
        space,
        goals,
        shape,
        max_params,
        max_mflop,
        resolve_device(device),
        seed,
    )
    with quiet():
        for name in names if is_limited else ():
            args = recipes[name].model_args
            check_budget(name, data, max_params, max_mflop, args, setting.vary_of(name))
        # Optuna asks the sampler before a trial begins, too: a grid then says what comes next.
        first_sampler = create_sampler(sampler, seed, len(goals) > 1)
        created = create_pruner(pruner, len(goals) > 1)
        study = open_study(
            setting.study_name(sampler, created), setting, open_storage(storage), created
        )
        study.sampler = first_sampler
        left = None if time_limit is None else max(0.0, time_limit - seconds_spent(study))
        deadline = math.inf if left is None else time.monotonic() + left
        done = len(result_of(study, setting).trials)
        with SearchDisplay(trials, done, left, progress) as display:
            objective = Objective(setting, sampler, deadline, display, trials)
            run_trials(study, objective, display, trials)
        return result_of(study, setting)


def _check_limits(trials: int | None, time_limit: float | None) -> None:
    if trials is None and time_limit is None:
        raise ValueError(
            "the search would never end; give trials=, a number, or time_limit=, seconds"
        )
    if trials is not None:
        check_whole("trials", trials, 1)
    if time_limit is not None and not (is_finite(time_limit) and time_limit > 0):
        raise ValueError(f"time_limit={time_limit!r:.80} must be a number of seconds above 0")


def _check_models(models: str | Path | Sequence[str | Path]) -> list[str]:
    names = [*map(str, [models] if isinstance(models, str | Path) else models)]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"models={models!r:.200} must name at least one model, each once")
    for name in names:
        architecture_of(name)  # an error, if there is no such model
    return names


def _check_architecture(
    architecture: bool | Sequence[str], is_limited: bool, models: Sequence[str], data: Dataset
) -> bool | tuple[str, ...]:
    """Return what of the architectures may change: nothing, all, or the arguments with names."""
    names = [architecture] if isinstance(architecture, str) else architecture
    are_names = isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
    if not isinstance(names, bool) and not (are_names and names):
        raise TypeError(
            f"architecture={architecture!r:.80} must be True, False or names of arguments, "
            'for example ["widths", "depths"]'
        )
    if names is False and not is_limited:
        return False
    known: dict[str, None] = {}
    for model in models:
        if _is_trained(model):
            raise ValueError(
                f"{model!r} names trained weights, whose architecture cannot change; give "
                f"{architecture_of(model)!r}, or search without architecture, max_params and "
                "max_mflop"
            )
        known |= dict.fromkeys(searchable_args(model, data.info, data.size))
    if isinstance(names, bool):
        return True
    for name in names:
        if name not in known:
            raise unknown_name("argument in architecture=", name, known)
    return tuple(sorted(set(names)))


def _is_trained(name: str) -> bool:
    return architecture_of(name) != name


def _first_recipe(
    recipe: Recipe | Mapping[str, Any] | str | Path, name: str, data: Dataset
) -> Recipe:
    """Return the recipe that a candidate starts from: of trained weights, that of fine-tuning."""
    if not _is_trained(name):
        return load_recipe(recipe, name, data)
    source = "finetune" if recipe == "default" else recipe
    return load_recipe(source, architecture_of(name), data, backbone=name)


def _check_start(recipe: Recipe, name: str, data: Dataset, device: torch.device) -> None:
    """Refuse a recipe that cannot be trained, instead of a first trial that fails."""
    try:
        model = create_for_recipe(name, data, recipe, pretrained=False)
        check_run(model, data, recipe, device)
    except ValueError as error:
        raise ValueError(f"the recipe of {name} cannot be trained: {error}") from error
