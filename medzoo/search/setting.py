"""Everything that decides a search, except how long it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from medzoo.datasets import Dataset
from medzoo.files import sha256_of
from medzoo.search.architectures import searchable_args
from medzoo.search.goals import Goal
from medzoo.search.space import Space, describe_space
from medzoo.training import Recipe
from medzoo.training.records.fingerprint import digest_of, digest_of_split
from medzoo.weights import find_entry
from medzoo.weights.find import locate_named

_WAY = 3
"""Raised when trials are chosen or ended in another way, since a search compares them."""


@dataclass(frozen=True)
class Setting:
    """Everything that decides a search, except how long it goes on.

    Attributes:
        parts: What each trial is trained and validated on, one part after the other.
        recipes: The recipe that the search starts from, by model.
        space: What may change.
        goals: The objectives.
        architecture: Whether the models' architectures may change, or which arguments of them.
        max_params: Largest number of parameters, if it is limited.
        max_mflop: Most floating-point operations per image in millions, if they are limited.
        device: Where models are trained.
        seed: Seed of the choices.
    """

    parts: list[Dataset]
    recipes: Mapping[str, Recipe]
    space: Space
    goals: tuple[Goal, ...]
    architecture: bool | tuple[str, ...]
    max_params: float | None
    max_mflop: float | None
    device: torch.device
    seed: int

    def vary_of(self, model: str) -> list[str] | None:
        """Return which arguments of a model's architecture may vary, None for all.

        Args:
            model: Name of the architecture.
        """
        if isinstance(self.architecture, bool):
            return None
        part = self.parts[0]
        known = searchable_args(model, part.info, part.size)
        return [name for name in self.architecture if name in known]

    def study_name(self, sampler: object, pruner: object) -> str:
        """Return a name that searches share only if all that decides them is the same.

        Args:
            sampler: What chooses, as text or an object of Optuna, which counts by its class.
            pruner: What ends trials early, likewise.
        """
        backbones = [recipe.backbone for recipe in self.recipes.values() if recipe.backbone]
        about: list[Any] = [
            {model: recipe.to_dict() for model, recipe in self.recipes.items()},
            [[digest_of_split(part.train), digest_of_split(part.val)] for part in self.parts],
            [self.parts[0].info.task, self.parts[0].info.classes],
            describe_space(self.space),
            [self.goals, self.architecture, self.max_params, self.max_mflop, self.seed],
            [one if isinstance(one, str) else type(one).__name__ for one in (sampler, pruner)],
            _WAY,
            *map(sha256_of_weights, backbones),
        ]
        return f"{self.parts[0].info.name}-{digest_of([], about)[:8]}"


def sha256_of_weights(name: str) -> str:
    """Return the sha256 of the weights that a search starts from; for timm's, their name.

    Args:
        name: As for `medzoo.create_model`.
    """
    if (path := locate_named(name)) is not None:
        return sha256_of(path)
    if name.startswith("timm/") or "." not in name:
        return name
    return find_entry(*name.split(".", 1)).sha256
