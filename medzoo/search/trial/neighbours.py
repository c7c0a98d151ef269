"""The trials after the first ones: their recipes are close to those that the search starts from."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler, RandomSampler
from optuna.trial import FrozenTrial

from medzoo.search.setting import Setting
from medzoo.search.space import KEEP, Domain, choose, parameters_of
from medzoo.search.trial.unchanged import better_models
from medzoo.training import Recipe

NEIGHBOURS = 9
"""How many trials stay close before the whole space is searched."""
_CHANGED = 0.3
"""Which share of their parameters they change."""
_SPREAD = 0.25
"""How far: standard deviation, as a share of a range."""
_DRAWS = 20
"""How often other changes are drawn if none changes anything, as with whole numbers."""


def neighbour_sampler(
    setting: Setting, number: int, seed: int, trials: Sequence[FrozenTrial]
) -> PartialFixedSampler | None:
    """Return what chooses the values of one of the first trials, or None if it is a later one.

    A recipe that was chosen with care is better than nearly all others in a wide space, so what is
    better still is most probably close to it. With several models, this holds for those whose
    recipes are the better ones; nothing is tried that is close to one which failed, for example
    because the memory is not sufficient.

    Args:
        setting: What decides the search.
        number: Number of the trial; those of the unchanged recipes come first.
        seed: Seed of its random numbers.
        trials: All trials of the study.
    """
    first = len(setting.recipes)
    if not first <= number < first + NEIGHBOURS:
        return None
    models = better_models(setting, trials)
    if not models:
        return None
    model = models[number % len(models)]
    rng = np.random.default_rng(seed)
    fixed: dict[str, Any] = {}
    if not callable(setting.space):
        fixed |= neighbour(setting.recipes[model], setting.space, rng)
    if setting.architecture:
        from medzoo.search.architectures import default_architecture_params

        part = setting.parts[0]
        shape = default_architecture_params(
            model,
            part.info,
            part.size,
            model_args=setting.recipes[model].model_args,
            vary=setting.vary_of(model),
        )
        kept = {name: value for name, value in shape.items() if rng.random() > _CHANGED}
        if kept == shape and kept and not fixed:
            del kept[list(kept)[rng.integers(len(kept))]]
        fixed |= kept
    if not fixed:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # What is not fixed is random. What has been tried so far says too little about it.
        return PartialFixedSampler({"model": model, **fixed}, RandomSampler(seed))


def neighbour(recipe: Recipe, space: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return the parameters of a recipe that is close to another.

    Args:
        recipe: The other recipe.
        space: What may change.
        rng: Source of the changes.

    Returns:
        Values by the names of parameters; without those that the other recipe says nothing about,
        such as the learning rate of another optimiser. Empty if nothing can change.
    """
    known = parameters_of(recipe, space)
    names = [name for name, (domain, _) in known.items() if _has_alternatives(domain)]
    found: dict[str, Any] = {}
    for _ in range(_DRAWS if names else 0):
        changed = {name for name in names if rng.random() < _CHANGED}
        found = _vary(known, changed or {names[rng.integers(len(names))]}, space, rng)
        if any(value != known[name][1] for name, value in found.items()):
            break
    return found


def _vary(
    known: Mapping[str, tuple[Domain, Any]],
    changed: Collection[str],
    space: Mapping[str, Any],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return the known parameters, of which some are changed, and what does not depend on them."""
    found: dict[str, Any] = {}

    def pick(name: str, path: tuple[str, ...], domain: Domain) -> Any:
        if name not in known:
            return KEEP
        value = known[name][1]
        found[name] = _changed(domain, value, rng) if name in changed else _on_grid(domain, value)
        return found[name]

    choose(space, pick)
    return found


def _has_alternatives(domain: Any) -> bool:
    return not domain.single() if isinstance(domain, BaseDistribution) else len(list(domain)) > 1


def _changed(domain: Any, value: Any, rng: np.random.Generator) -> Any:
    """Return another value: any other choice, or a number that is not far away."""
    if not isinstance(domain, FloatDistribution | IntDistribution):
        choices = list(getattr(domain, "choices", domain))
        others = [choice for choice in choices if choice != value]
        return others[rng.integers(len(others))]
    low, high = (math.log(end) if domain.log else end for end in (domain.low, domain.high))
    moved = (math.log(value) if domain.log else value) + _SPREAD * (high - low) * rng.normal()
    # Folded back at the ends, which are no more probable than what lies between them.
    width = high - low
    moved = low + width - abs((moved - low) % (2 * width) - width)
    return _on_grid(domain, math.exp(moved) if domain.log else moved)


def _on_grid(domain: Any, value: Any) -> Any:
    """Return the closest value of a range, which may go in steps; choices stay as they are."""
    if not isinstance(domain, FloatDistribution | IntDistribution):
        return value
    if domain.step is not None:
        value = domain.low + domain.step * round((value - domain.low) / domain.step)
    kind = int if isinstance(domain, IntDistribution) else float
    return kind(min(max(value, domain.low), domain.high))
