"""One call from a model's name to a finished, reproducible run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from medzoo.datasets import Dataset
from medzoo.models import architecture_of, create_model
from medzoo.training.recipe import Recipe, load_recipe
from medzoo.training.trainer import Run, Trainer


def train(
    name: str | Path,
    data: Dataset,
    recipe: Recipe | Mapping[str, Any] | str | Path = "default",
    *,
    pretrained: bool = False,
    resume: bool = False,
    **trainer_args: Any,
) -> Run:
    """Build a model for a data set and train it; the recipe's seed decides everything.

    Args:
        name: Any name that `medzoo.create_model` takes.
        data: Training and validation data.
        recipe: A `Recipe`; or a bundled recipe's name, a JSON file or a mapping of some fields,
            e.g. ``{"epochs": 5}``, which refine what is bundled for the architecture and data
            set. By default that itself.
        pretrained: Start from the published weights that the name means, instead of from the
            recipe's trunk or random weights.
        resume: Go on from the run's last checkpoint, if there is one.
        **trainer_args: The `Trainer`'s other arguments: output, name, teacher, device, progress.

    Returns:
        The finished run.

    Raises:
        ValueError: If a name is unknown, the recipe's trunk is of another architecture, or an
            argument is wrong.
        WeightsError: If there are no such published weights.
        TrainingError: If the run cannot go on.
    """
    architecture = architecture_of(name)
    recipe = load_recipe(recipe, architecture, data.info.name)
    if recipe.trunk and not pretrained:
        if architecture_of(recipe.trunk) != architecture:
            raise ValueError(
                f"the recipe's trunk {recipe.trunk!r} does not fit {architecture!r}; give a "
                f"checkpoint of {architecture!r}, or trunk='' to start from random weights"
            )
        name, pretrained = recipe.trunk, True
    torch.manual_seed(recipe.seed)
    model = create_model(name, dataset=data, pretrained=pretrained, **recipe.model_args)
    return Trainer(model, data, recipe, **trainer_args).fit(resume=resume)
