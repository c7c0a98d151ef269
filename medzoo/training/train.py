"""One call from a model's name to a finished, reproducible run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medzoo.datasets import Dataset
from medzoo.datasets.validation import check_dataset
from medzoo.models import architecture_of, create_model
from medzoo.spec import find_spec
from medzoo.training.recipe import Recipe, load_recipe
from medzoo.training.trainer import Run, Trainer


def train(
    name: str,
    data: Dataset,
    recipe: Recipe | Mapping[str, Any] | str | Path = "default",
    *,
    resume: bool = False,
    **trainer_args: Any,
) -> Run:
    """Build a model for a data set and train it; the recipe's seed decides everything.

    Args:
        name: An architecture: medzoo's, or ``"timm/<name>"``. It starts from random weights, or
            from the recipe's backbone.
        data: Training and validation data.
        recipe: A `Recipe`; or a bundled recipe's name, a JSON file or a mapping of some fields,
            e.g. ``{"epochs": 5}``, which refine what is bundled for the architecture and data
            set. By default that itself.
        resume: Go on from the run's last checkpoint, if there is one.
        **trainer_args: The `Trainer`'s other arguments: output, name, teacher, high_res, device,
            progress, tensorboard, compile.

    Returns:
        The finished run.

    Raises:
        ValueError: If the name is unknown or means trained weights, the recipe's backbone is of
            another architecture, or an argument is wrong.
        WeightsError: If the recipe's backbone cannot be loaded.
        TrainingError: If the run cannot go on.
    """
    if not isinstance(name, str | Path):
        raise ValueError(
            f"name is a {type(name).__name__}; train() makes a model by its name. Train one that "
            "is there with medzoo.Trainer(model, data).fit() or medzoo.finetune(model, data)"
        )
    check_dataset("data", data)
    architecture = architecture_of(name)
    if architecture != str(name):
        raise ValueError(
            f"train() starts from random weights, but {str(name)!r} names trained ones; give "
            f"{architecture!r}, or start from them: medzoo.finetune({str(name)!r}, data), on the "
            "command line --pretrained"
        )
    recipe = load_recipe(recipe, architecture, data.info)
    if recipe.backbone:
        if architecture_of(recipe.backbone) != architecture:
            raise ValueError(
                f"the recipe's backbone {recipe.backbone!r} does not fit {architecture!r}; give a "
                f"checkpoint of {architecture!r}, or backbone='' to start from random weights"
            )
        return finetune(recipe.backbone, data, recipe, resume=resume, **trainer_args)
    torch.manual_seed(recipe.seed)
    model = _create(name, data, recipe)
    return Trainer(model, data, recipe, **trainer_args).fit(resume=resume)


def finetune(
    backbone: str | Path | nn.Module,
    data: Dataset,
    recipe: Recipe | Mapping[str, Any] | str | Path = "finetune",
    *,
    resume: bool = False,
    **trainer_args: Any,
) -> Run:
    """Train on from trained weights: all but the classifier is kept, the channels are adapted.

    For the very data set that the backbone was trained on, the classifier is kept as well.

    Args:
        backbone: A checkpoint (``"advanced_cnn.dermamnist"``), a weights file, an architecture of
            timm's with weights of its own (``"timm/resnet18"``), or a model. A model is trained
            in place, and has to take the data's channels.
        data: Training and validation data.
        recipe: As for `train`. The one named ``"finetune"`` is short; for networks of timm's
            it is gentle, slowest in the early layers. What part of the backbone stays fixed is its
            `freeze`. The backbone decides the architecture's arguments. A backbone with a name becomes
            the recipe's `backbone`.
        resume: Go on from the run's last checkpoint, if there is one.
        **trainer_args: The `Trainer`'s other arguments: output, name, teacher, high_res, device,
            progress, tensorboard, compile.

    Returns:
        The finished run.

    Raises:
        ValueError: If the name is unknown or means no weights, the model has no classifier to
            replace or does not take such images, or an argument is wrong.
        WeightsError: If the weights cannot be found, or do not fit the recipe's `model_args`.
        TrainingError: If the run cannot go on.
    """
    check_dataset("data", data)
    if isinstance(backbone, nn.Module):
        spec = find_spec(backbone)
        architecture = (spec and spec.architecture) or type(backbone).__name__
        recipe = load_recipe(recipe, architecture, data.info)
        torch.manual_seed(recipe.seed)
        model = _with_classifier_for(data, backbone)
    else:
        recipe = load_recipe(recipe, architecture_of(backbone), data.info, backbone=str(backbone))
        torch.manual_seed(recipe.seed)
        model = _create(backbone, data, recipe, pretrained=True)
    return Trainer(model, data, recipe, **trainer_args).fit(resume=resume)


def _create(name: str | Path, data: Dataset, recipe: Recipe, **options: Any) -> nn.Module:
    try:
        return create_model(name, dataset=data, **options, **recipe.model_args)
    except TypeError as error:  # how Python says that there is no such argument
        raise ValueError(
            f"the recipe's model_args={dict(recipe.model_args)!r} do not fit {str(name)!r}: {error}"
        ) from error


def _with_classifier_for(data: Dataset, model: nn.Module) -> nn.Module:
    """Give a model a new classifier, unless it has one for these classes already."""
    spec, info = find_spec(model), data.info
    known = spec.dataset if spec else None
    if known is None or (known.name, known.classes) != (info.name, info.classes):
        if not hasattr(model, "reset_classifier"):
            raise ValueError(
                f"backbone is a {type(model).__name__} without reset_classifier, so it cannot get "
                "a new classifier; expected a model of medzoo.create_model or timm.create_model"
            )
        model.reset_classifier(info.num_classes)  # type: ignore[operator]
    return model
