"""The loss of a task, what it compares with, and the weights of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets import Split
from medzoo.distributed import process_mean
from medzoo.errors import unknown_name
from medzoo.training.recipes.recipe import ClassWeights

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of logits and target probabilities, both float32 (N, K), to a scalar."""
Weigh = Callable[[Tensor], Tensor]
"""A function of target probabilities, (N, K), to the weights of losses."""


def task_loss(
    split: Split, weights: ClassWeights, label_smoothing: float, device: torch.device
) -> Loss:
    """Return the loss of a data set's task.

    Args:
        split: The training labels.
        weights: `Recipe.class_weights`.
        label_smoothing: Smoothing of the targets that the loss will get.
        device: Where logits and targets are.

    Raises:
        ValueError: If the weights do not fit the classes or the smoothing.
    """
    values = choose_weights(split, weights)
    return partial(
        loss_of,
        multi_label=split.info.multi_label,
        weigh=None if values is None else weigh_labels(split, values, label_smoothing, device),
        unknown=bool(split.labels.isnan().any()),
    )


def loss_of(
    logits: Tensor,
    targets: Tensor,
    multi_label: bool,
    weigh: Weigh | None = None,
    *,
    unknown: bool = False,
) -> Tensor:
    """Compare logits with target probabilities, averaged over the images.

    Args:
        logits: (N, K).
        targets: Target probabilities, float32 (N, K).
        multi_label: Whether every column is an independent label, instead of one of K classes.
        weigh: Weights of the losses, as `weigh_labels` gives them; None for equal ones.
        unknown: Whether targets of a multi-label task may be NaN. The loss is then averaged over
            the others, in all processes; 0 if there are none.
    """
    if not multi_label:
        if weigh is None:
            return F.cross_entropy(logits, targets)
        return (F.cross_entropy(logits, targets, reduction="none") * weigh(targets)).mean()
    if not unknown:
        weight = None if weigh is None else weigh(targets)
        return F.binary_cross_entropy_with_logits(logits, targets, weight)
    known = ~targets.isnan()
    filled = targets.masked_fill(~known, 0.0)
    weight = None if weigh is None else weigh(filled)
    losses = F.binary_cross_entropy_with_logits(logits, filled, weight, reduction="none")
    # Of all processes, so that labels count alike wherever they are, as in a single process.
    count = process_mean(known.sum().float())
    return losses.masked_fill(~known, 0.0).sum() / count.clamp(min=1)


def soft_targets(split: Split, label_smoothing: float = 0.0) -> Tensor:
    """Turn labels into target probabilities, float32 (N, K).

    Args:
        split: The labels and their task.
        label_smoothing: Share of the target spread over all classes (Szegedy et al., 2016), for
            ordinal sets over the neighbouring grades; for multi-label sets, half of it moves
            each label towards 0.5.

    Returns:
        The targets; those of unknown labels are NaN.
    """
    if split.info.multi_label:
        return torch.lerp(split.labels, torch.full_like(split.labels, 0.5), label_smoothing)
    classes = torch.eye(split.info.num_classes)
    return _smoothed(classes, split.info.task, label_smoothing)[split.labels]


def _smoothed(classes: Tensor, task: str, label_smoothing: float) -> Tensor:
    """Return the targets of each class, (K, K)."""
    if task == "ordinal-regression":
        return torch.lerp(classes, _neighbours(len(classes)), label_smoothing)
    return torch.lerp(classes, torch.full_like(classes, 1 / len(classes)), label_smoothing)


def _neighbours(grades: int) -> Tensor:
    """Return for each grade a target, (K, K), that is shared by the grades next to it."""
    grade = torch.arange(grades)
    adjacent = ((grade[:, None] - grade).abs() == 1).float()
    return adjacent / adjacent.sum(1, keepdim=True)


def choose_weights(split: Split, weights: ClassWeights) -> Tensor | None:
    """Return the weights of a recipe for a data set, float32 (K,), or None for equal ones.

    Args:
        split: Training labels.
        weights: `Recipe.class_weights`.

    Raises:
        ValueError: If there are not as many weights as classes, or one names no class.
    """
    if weights == "none":
        return None
    if weights == "balanced":
        return class_weights(split)
    if isinstance(weights, Mapping):
        for name in weights:
            if name not in split.info.classes:
                raise unknown_name("class in class_weights", name, split.info.classes)
        weights = [weights.get(name, 1.0) for name in split.info.classes]
    if len(weights) != split.info.num_classes:
        raise ValueError(
            f"class_weights={weights!r} are {len(weights)} numbers, expected one for each of the "
            f"{split.info.num_classes} classes of {split.title}: {', '.join(split.info.classes)}"
        )
    return torch.tensor(weights, dtype=torch.float32)


def weigh_labels(
    split: Split, weights: Tensor, label_smoothing: float, device: torch.device
) -> Weigh:
    """Return the function that gives the weights of losses by their targets.

    An image has the weight of its class, or each of its labels the weight of having it or not. Were
    the smoothed targets weighed instead, column by column, the loss would be least where a model
    takes images of frequent classes for rare ones. Of a mixture, the weight is the mean.

    Args:
        split: The training labels.
        weights: Weights of the classes, as `choose_weights` gives them, (K,).
        label_smoothing: Smoothing of the targets, which hides the labels.
        device: Where the targets will be.

    Returns:
        A function of targets, (N, K), to weights: (N,), or (N, K) for multi-label sets.

    Raises:
        ValueError: If the targets of ordinal sets are smoothed too much to show the grades.
    """
    # Shares are clamped, because a teacher may be more certain than any smoothed label.
    if split.info.multi_label:
        weights = weights.to(device)

        def of_labels(targets: Tensor) -> Tensor:
            shares = (targets - label_smoothing / 2) / (1 - label_smoothing)
            return torch.lerp(torch.ones_like(weights), weights, shares.clamp(0, 1))

        return of_labels
    if split.info.task == "ordinal-regression" and label_smoothing >= 0.5:
        raise ValueError(
            f"label_smoothing={label_smoothing!r} hides which of two neighbouring grades an image "
            "has, so class_weights cannot be applied; give less than 0.5, or class_weights='none'"
        )
    smoothed = _smoothed(torch.eye(len(weights)), split.info.task, label_smoothing)
    inverse = torch.linalg.inv(smoothed.double()).float().to(device)
    weights = weights.to(device)

    def of_images(targets: Tensor) -> Tensor:
        shares = (targets @ inverse).clamp(min=0)
        return shares @ weights / shares.sum(1)

    return of_images


def class_weights(split: Split) -> Tensor:
    """Return weights that make every class count alike, float32 (K,).

    Args:
        split: Training labels.

    Returns:
        For single-label sets, inverse frequencies with mean 1 over the images; for multi-label
        sets, negatives over positives of each label, among the known ones; 1 for a label that all
        or none of them have.
    """
    targets = soft_targets(split)
    counts = targets.nansum(0)
    if split.info.multi_label:
        others = (~targets.isnan()).sum(0) - counts
        both = (counts > 0) & (others > 0)
        return torch.where(both, others / counts, torch.ones_like(counts))
    counts = counts.clamp(min=1)
    return len(split) / (len(counts) * counts)
