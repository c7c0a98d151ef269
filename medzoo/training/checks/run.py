"""Whether a run can work at all, found out before an hour of training instead of after it.

No check changes the model: a `Trainer` that is refused leaves it as it was.
"""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset, Split
from medzoo.datasets.validation import check_dataset
from medzoo.distributed import world_size
from medzoo.inference.ensemble import Ensemble
from medzoo.inference.model import Model
from medzoo.inference.modes import for_inference
from medzoo.inference.output_check import noise_images, refuse_probabilities
from medzoo.models import bind_to_dataset, check_loads_again
from medzoo.training.augment import choose_corruptions
from medzoo.training.callbacks import Callback
from medzoo.training.checks.compiler import check_compiler
from medzoo.training.checks.high_res import check_high_res
from medzoo.training.distillation import check_teacher
from medzoo.training.loader import check_shares
from medzoo.training.loss import Loss, soft_targets, task_loss
from medzoo.training.optim import create_optimizer, frozen_names
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.records.lineage import can_be_rebuilt
from medzoo.weights import WeightsConfig


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Make sure that all are callbacks.

    Args:
        callbacks: What a user gives.

    Raises:
        TypeError: If it is not a list of callbacks.
    """
    given = callbacks if isinstance(callbacks, Sequence) else [callbacks]
    wrong = [one for one in given if not isinstance(one, Callback)]
    if wrong or given is not callbacks:
        raise TypeError(
            f"callbacks has {(wrong or given)[0]!r:.80}; expected a list of objects of subclasses "
            "of medzoo.training.Callback"
        )


def check_run(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    *,
    output: Path | None = None,
    teacher: Model | None = None,
    high_res: Dataset | None = None,
    loss: Loss | None = None,
    compile: bool = False,
) -> None:
    """Make sure that a run can work, without changing anything.

    Args:
        model: What is to be trained, on any device.
        data: Its training and validation images.
        recipe: How it is to be trained.
        device: Where it is to be trained.
        output: Folder of the run's files, if any.
        teacher: The teacher, if any.
        high_res: The training images in a larger size, if any.
        loss: The loss that replaces the task's, if any.
        compile: Whether the network is to be compiled.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the run could not work.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model={model!r:.80} is not a PyTorch module; make one with "
            "medzoo.create_model(..., dataset=data)"
        )
    if isinstance(model, Ensemble):
        raise ValueError("an ensemble cannot be trained; train its members, one after the other")
    if compile:
        check_compiler(device)
    check_logits(model, data, device)
    bind_to_dataset(copy.copy(model), data)  # a copy, which shares all layers and tensors
    check_validation(data.val)
    task_loss(data.train, recipe.class_weights, recipe.label_smoothing, device)
    choose_corruptions(recipe.augmentation, data.train)
    check_shares(len(data.train), recipe.batch_size, world_size())
    if high_res is not None:
        check_dataset("high_res", high_res)
        check_high_res(high_res, data)
    check_optimisation(model, recipe, device)
    if loss is not None:
        check_loss(loss, data, recipe, device)
    if output is not None:
        check_output(model, data, output)
    if (teacher is not None) != (recipe.distillation > 0):
        raise ValueError(
            f"the recipe's distillation={recipe.distillation!r} "
            + (
                "would not use the teacher"
                if teacher is not None
                else "needs a teacher: give teacher="
            )
            + "; a share above 0 and a teacher go together"
        )
    if teacher is not None:
        if isinstance(teacher, nn.Module) and set(teacher.parameters()) & set(model.parameters()):
            raise ValueError(
                "the teacher has parameters of the model, and would change with it; give "
                "teacher=copy.deepcopy(model)"
            )
        check_teacher(teacher, high_res or data, device)


def check_logits(model: nn.Module, data: Dataset, device: torch.device) -> None:
    """Run a few images through the model, so that a wrong head is an error now and not later.

    Args:
        model: The model; it is run where it is, and left as it was.
        data: What it is to be trained on.
        device: Where to run a model without parameters.

    Raises:
        ValueError: If the model cannot take such an image, gives other than K logits, or gives
            probabilities.
    """
    info = data.info
    home = next((parameter.device for parameter in model.parameters()), device)
    images = noise_images(info.channels, data.size, data.size).to(home)
    advice = "make it with medzoo.create_model(..., dataset=data)"
    try:
        with for_inference(model, home), torch.inference_mode():
            logits = model(images)
    except (ArithmeticError, AssertionError, RuntimeError) as error:  # timm's, if the size is wrong
        raise ValueError(
            f"the model cannot take an image of {data.title}, {tuple(images.shape[1:])} "
            f"({error}); {advice}"
        ) from error
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    expected = (len(images), info.num_classes)
    if found != expected:
        raise ValueError(
            f"the model maps {len(images)} images of {data.title} to {found}, expected logits of "
            f"shape {expected}; {advice}"
        )
    refuse_probabilities(logits, info.multi_label)


def check_validation(val: Split) -> None:
    """Make sure that a validation split has an AUC, by which the epoch is chosen.

    Args:
        val: The split.

    Raises:
        ValueError: If no class has both images that belong to it and images that do not.
    """
    targets = soft_targets(val)
    low, high = targets.nan_to_num(math.inf), targets.nan_to_num(-math.inf)
    if not len(val) or (low.amin(0) >= high.amax(0)).all():
        raise ValueError(
            f"the validation split of {val.title} has no AUC to choose the epoch by: all of its "
            f"{len(val)} images are of one class. Move some of each class into it"
        )


def check_optimisation(model: nn.Module, recipe: Recipe, device: torch.device) -> None:
    """Make sure that something of a model learns, and that it can be optimised and averaged.

    Args:
        model: The model.
        recipe: Optimiser, frozen part and decay of the rate by layer.
        device: Where it is to be trained.

    Raises:
        ValueError: If the model does not name its layers but the recipe needs them, no parameter
            would learn, one has several names, or the model cannot be copied.
    """
    names: dict[int, str] = {}
    for name, one in model.named_parameters(remove_duplicate=False):
        if (first := names.setdefault(id(one), name)) != name:
            raise ValueError(
                f"{first!r} and {name!r} are the same parameter of the {type(model).__name__}, so "
                "its moving average and its files would contain it twice; keep its layer under "
                "one name"
            )
    frozen = frozen_names(model, recipe.freeze)
    named = dict(model.named_parameters())
    if not any(one.requires_grad and name not in frozen for name, one in named.items()):
        raise ValueError(
            f"no parameter of the {type(model).__name__} would learn: {len(named)} in all, "
            f"freeze={recipe.freeze!r}; set requires_grad where it should, or freeze less"
        )
    create_optimizer(
        model,
        recipe.optimizer,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        layer_decay=recipe.layer_decay,
        device=device,
    )
    # A copy that shares all tensors takes next to no memory.
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    try:
        copy.deepcopy(model, shared)
    except Exception as error:  # whatever a module's attributes raise
        raise ValueError(
            f"the {type(model).__name__} cannot be copied ({error}), which the moving average of "
            "its weights needs; remove the attribute or hook that copy.deepcopy fails on"
        ) from error


def check_loss(loss: Loss, data: Dataset, recipe: Recipe, device: torch.device) -> None:
    """Make sure that a loss takes logits and targets of a data set and gives one number.

    Args:
        loss: The loss.
        data: The data set.
        recipe: The recipe, whose class weights only the task's own loss uses.
        device: Where logits and targets will be.

    Raises:
        TypeError: If it is not callable.
        ValueError: If it fails, gives something else or NaN for unknown labels, or the recipe
            weighs classes.
    """
    if not callable(loss):
        raise TypeError(
            f"loss={loss!r:.80} is not callable; give a function (logits, targets) -> scalar, e.g. "
            "torch.nn.functional.cross_entropy"
        )
    if recipe.class_weights != "none":
        raise ValueError(
            f"loss= replaces the task's loss, which class_weights={recipe.class_weights!r} belongs "
            "to; weigh classes in your own loss, and set class_weights='none'"
        )
    targets = soft_targets(data.train)
    # The first image, and the first with an unknown label, if there is one.
    unknown = targets.isnan().any(1)
    targets = targets[[0, int(unknown.int().argmax()) or min(1, len(targets) - 1)]].to(device)
    try:
        with torch.no_grad():
            value = loss(torch.zeros_like(targets), targets)
    except Exception as error:
        raise ValueError(
            f"loss= fails on logits and targets of shape {tuple(targets.shape)} on {device} "
            f"({type(error).__name__}: {error}); it is given both as float32 (N, K)"
        ) from error
    if unknown.any() and isinstance(value, Tensor) and value.isnan().any():
        raise ValueError(
            f"loss= gives NaN, because labels of {data.title} are unknown and their targets NaN; "
            "average over the others: known = ~targets.isnan()"
        )
    if not isinstance(value, Tensor) or value.ndim:
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(
            f"loss= gives {found}, expected a tensor without dimensions; average over the images"
        )


def check_output(model: nn.Module, data: Dataset, folder: Path) -> None:
    """Make sure that the files of a run can be written.

    Args:
        model: What is to be trained; one that does not say its architecture has no weights file.
        data: What it is to be trained on.
        folder: Folder of the files, which need not exist.

    Raises:
        ValueError: If the folder cannot be written to, or the model could not be built again from
            its weights file, as one with layers of your own.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ValueError(
            f"output={str(folder)!r} cannot be written to: {str(existing)!r} is not a folder that "
            "this user may write to; give another one, or leave output= out"
        )
    if not can_be_rebuilt(model):
        warnings.warn(
            f"no weights file will be written to output={str(folder)!r}, because medzoo cannot "
            f"build a {type(model).__name__} again; make the model with medzoo.create_model (any "
            "timm architecture as 'timm/<name>'), or save run.model.state_dict() yourself",
            stacklevel=4,
        )
        return
    bound = bind_to_dataset(copy.copy(model), data)
    try:
        config = WeightsConfig.of(bound)
        config.to_json()
        check_loads_again(bound, config.spec)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the weights of a {type(model).__name__} cannot be written to output= ({error}). "
            "Train a model of medzoo.create_model, or leave output= out"
        ) from error
