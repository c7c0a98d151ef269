"""One call from a model's name to a finished, reproducible run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from medzoo.datasets import Dataset
from medzoo.datasets.validation import check_dataset
from medzoo.models import Classifier, architecture_of, create_model
from medzoo.randomness import own_generator
from medzoo.training.checks import TrainerOptions, check_options
from medzoo.training.recipes.bundled import load_recipe
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.records.lineage import architecture_name, is_made_for
from medzoo.training.state import Run
from medzoo.training.trainer import Trainer
from medzoo.training.validation_split import ensure_validation

if TYPE_CHECKING:
    from typing_extensions import Unpack


def train(
    architecture: str,
    data: Dataset,
    recipe: Recipe | Mapping[str, Any] | str | Path = "default",
    *,
    resume: bool = False,
    overwrite: bool = False,
    **options: Unpack[TrainerOptions],
) -> Run:
    """Build a model for a data set and train it; the recipe's seed decides everything.

    Args:
        architecture: One of medzoo's, or ``"timm/<name>"``. It starts from random weights,
            or from the recipe's backbone.
        data: Training and validation data. Without a validation split, a part of the training
            split is used for it, as one warning says.
        recipe: A `Recipe`; or a bundled recipe's name, a JSON file or a mapping of some fields,
            e.g. ``{"epochs": 5}``, which refine what is bundled for the architecture and data
            set. By default that itself.
        resume: Go on from the run's last checkpoint, if there is one.
        overwrite: Replace the last run of this name in `output` instead of adding another one.
        **options: The `Trainer`'s other arguments: output, name, teacher, high_res, device,
            progress, tensorboard, compile, ood_detector, loss, callbacks.

    Returns:
        The finished run.

    Raises:
        TypeError: If `architecture` is not a name, or another argument is of the wrong type.
        ValueError: If the architecture is unknown or means trained weights, the recipe's backbone
            is of another architecture, or an argument is wrong.
        WeightsError: If the recipe's backbone cannot be loaded.
        TrainingError: If the run cannot go on.
    """
    if not isinstance(architecture, str | Path):
        raise TypeError(
            f"architecture is a {type(architecture).__name__}; train() makes a model by "
            "name. Train one that exists with medzoo.Trainer(model, data).fit() or "
            "medzoo.finetune(model, data)"
        )
    check_options("train", options)
    check_dataset("data", data)
    data, options["high_res"] = ensure_validation(data, options.get("high_res"))
    name, known = str(architecture), architecture_of(architecture)
    if known != name:
        raise ValueError(
            f"train() starts from random weights, but {name!r} names trained ones; give {known!r}, "
            f"or start from them: medzoo.finetune({name!r}, data), on the command line --pretrained"
        )
    resolved = load_recipe(recipe, name, data)
    backbone = resolved.backbone
    if backbone and architecture_of(backbone) != name:
        raise ValueError(
            f"the recipe's backbone {backbone!r} does not fit {name!r}; give a checkpoint of "
            f"{name!r}, or backbone='' to start from random weights"
        )
    model = create_for_recipe(backbone or name, data, resolved, pretrained=bool(backbone))
    return Trainer(model, data, resolved, **options).fit(resume=resume, overwrite=overwrite)


def finetune(
    backbone: str | Path | nn.Module,
    data: Dataset,
    recipe: Recipe | Mapping[str, Any] | str | Path = "finetune",
    *,
    resume: bool = False,
    overwrite: bool = False,
    **options: Unpack[TrainerOptions],
) -> Run:
    """Train on from trained weights: all but the classifier is kept, the channels are adapted.

    For the data set that the backbone was trained on, the classifier is kept as well.

    Args:
        backbone: A checkpoint (``"advanced_cnn.dermamnist"``), a weights file, a timm
            architecture with pretrained weights (``"timm/resnet18"``), or a model. A model is
            trained in place, and has to take the data's channels.
        data: Training and validation data. Without a validation split, a part of the training
            split is used for it, as one warning says.
        recipe: As for `train`. The one named ``"finetune"`` is short; for timm's networks it
            uses low learning rates, lowest in the early layers. Its `freeze` decides which part
            of the backbone stays fixed. The backbone decides the architecture's arguments. A
            backbone with a name becomes the recipe's `backbone`.
        resume: Go on from the run's last checkpoint, if there is one.
        overwrite: Replace the last run of this name in `output` instead of adding another one.
        **options: The `Trainer`'s other arguments: output, name, teacher, high_res, device,
            progress, tensorboard, compile, ood_detector, loss, callbacks.

    Returns:
        The finished run.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the name is unknown or means no weights, the model has no classifier to
            replace or does not take such images, or an argument is wrong. A given model is then
            as it was.
        WeightsError: If the weights cannot be found, or do not fit the recipe's `model_args`.
        TrainingError: If the run cannot go on.
    """
    check_options("finetune", options)
    check_dataset("data", data)
    data, options["high_res"] = ensure_validation(data, options.get("high_res"))
    if not isinstance(backbone, nn.Module):
        name = str(backbone)
        resolved = load_recipe(recipe, architecture_of(name), data, backbone=name)
        model = create_for_recipe(name, data, resolved, pretrained=True)
        return Trainer(model, data, resolved, **options).fit(resume=resume, overwrite=overwrite)
    resolved = load_recipe(recipe, architecture_name(backbone), data)
    with _unchanged_if_refused(backbone):
        if not is_made_for(backbone, data.info):
            _renew_classifier(backbone, data, resolved.seed)
        trainer = Trainer(backbone, data, resolved, **options)
    return trainer.fit(resume=resume, overwrite=overwrite)


def create_for_recipe(
    name: str | Path, data: Dataset, recipe: Recipe, *, pretrained: bool
) -> Classifier:
    """Create the model that a recipe trains, from its seed.

    Args:
        name: As for `medzoo.create_model`.
        data: What it is trained on.
        recipe: The recipe.
        pretrained: Whether to load weights.

    Raises:
        ValueError: If the recipe's `model_args` do not fit.
    """
    try:
        with own_generator(recipe.seed):
            return create_model(name, dataset=data, pretrained=pretrained, **recipe.model_args)
    except TypeError as error:  # how Python says that there is no such argument
        raise ValueError(
            f"the recipe's model_args={dict(recipe.model_args)!r} do not fit {str(name)!r}: {error}"
        ) from error


def _renew_classifier(model: nn.Module, data: Dataset, seed: int) -> None:
    if not hasattr(model, "reset_classifier"):
        raise ValueError(
            f"backbone is a {type(model).__name__} without reset_classifier, so it cannot get a "
            "new classifier; expected a model of medzoo.create_model or timm.create_model"
        )
    with own_generator(seed):
        model.reset_classifier(data.info.num_classes)  # type: ignore[operator]


@contextmanager
def _unchanged_if_refused(model: nn.Module) -> Iterator[None]:
    """Take back that layers and attributes of a model were replaced, if an error follows."""
    kinds = ("_modules", "_parameters", "_buffers")
    before = {
        module: vars(module) | {kind: dict(vars(module)[kind]) for kind in kinds}
        for module in model.modules()
    }
    try:
        yield
    except Exception:
        for module, attributes in before.items():
            vars(module).clear()
            vars(module).update(attributes)
        raise
