"""The trials after the first ones: their recipes are close to those that the search starts from."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler, RandomSampler

from medzoo.search.setting import Setting
from medzoo.search.space import KEEP, Domain, choose, parameters_of
from medzoo.training import Recipe

NEIGHBOURS = 9
"""How many trials stay close before the whole space is searched."""
_CHANGED = 0.3
"""Which share of their parameters they change."""
_SPREAD = 0.25
"""How far: standard deviation, as a share of a range."""


def neighbour_sampler(setting: Setting, number: int, seed: int) -> PartialFixedSampler | None:
    """Return what chooses the values of one of the first trials, or None if it is a later one.

    A recipe that was chosen with care is better than nearly all others in a wide space, so what is
    better still is most probably close to it.

    Args:
        setting: What decides the search.
        number: Number of the trial; those of the unchanged recipes come first.
        seed: Seed of its random numbers.
    """
    first = len(setting.recipes)
    if not first <= number < first + NEIGHBOURS:
        return None
    model = list(setting.recipes)[number % first]
    rng = np.random.default_rng(seed)
    fixed: dict[str, Any] = {}
    if not callable(setting.space):
        fixed |= neighbour(setting.recipes[model], setting.space, rng)
    if setting.architecture:
        from medzoo.search.architectures import default_architecture_params

        part = setting.parts[0]
        shape = default_architecture_params(model, part.info, part.size)
        fixed |= {name: value for name, value in shape.items() if rng.random() > _CHANGED}
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
        such as the learning rate of another optimiser.
    """
    known = parameters_of(recipe, space)
    if not known:
        return {}
    names = list(known)
    changed = {name for name in names if rng.random() < _CHANGED}
    changed = changed or {names[rng.integers(len(names))]}  # otherwise nothing would be tried
    found: dict[str, Any] = {}

    def pick(name: str, path: tuple[str, ...], domain: Domain) -> Any:
        if name not in known:
            return KEEP
        value = known[name][1]
        found[name] = _changed(domain, value, rng) if name in changed else value
        return found[name]

    choose(space, pick)
    return found


def _changed(domain: Any, value: Any, rng: np.random.Generator) -> Any:
    if not isinstance(domain, FloatDistribution | IntDistribution):
        choices = list(getattr(domain, "choices", domain))
        others = [choice for choice in choices if choice != value] or choices
        return others[rng.integers(len(others))]
    low, high = (math.log(end) if domain.log else end for end in (domain.low, domain.high))
    moved = (math.log(value) if domain.log else value) + _SPREAD * (high - low) * rng.normal()
    # Folded back at the ends, which are no more probable than what lies between them.
    width = max(high - low, 1e-12)
    moved = low + width - abs((moved - low) % (2 * width) - width)
    result = math.exp(moved) if domain.log else moved
    if domain.step is not None:
        result = domain.low + domain.step * round((result - domain.low) / domain.step)
    kind = int if isinstance(domain, IntDistribution) else float
    return kind(min(max(result, domain.low), domain.high))
