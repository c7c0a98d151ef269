"""Trials that would train what another one has trained, as the seed is that of the recipe."""

from __future__ import annotations

import json

import optuna
from optuna.trial import FrozenTrial, TrialState

from medzoo.training import Recipe


def duplicate_of(trial: optuna.Trial, model: str, recipe: Recipe) -> FrozenTrial | None:
    """Return a trial that has trained this model by this recipe to its end, or None.

    Different parameters may stand for one network: a budget makes several as narrow.

    Args:
        trial: The trial.
        model: Its model.
        recipe: Its recipe, with the arguments of the network.
    """
    try:
        wanted = json.loads(json.dumps(recipe.to_dict()))  # lists for tuples
    except TypeError:  # a function of the user's may choose what JSON does not know
        return None
    for other in trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        known = other.user_attrs
        if known.get("model") == model and known.get("recipe") == wanted:
            return other
    return None
