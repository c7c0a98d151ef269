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


def task_loss(split: Split, weights: ClassWeights, device: torch.device) -> Loss:
    """Return the loss of a data set's task.

    Args:
        split: The training labels.
        weights: `Recipe.class_weights`.
        device: Where logits and targets are.

    Raises:
        ValueError: If the weights do not fit the classes.
    """
    values = choose_weights(split, weights)
    return partial(
        loss_of,
        multi_label=split.info.multi_label,
        weights=None if values is None else values.to(device),
        unknown=bool(split.labels.isnan().any()),
    )


def loss_of(
    logits: Tensor,
    targets: Tensor,
    multi_label: bool,
    weights: Tensor | None = None,
    *,
    unknown: bool = False,
) -> Tensor:
    """Compare logits with target probabilities, averaged over the images.

    Args:
        logits: (N, K).
        targets: Target probabilities, float32 (N, K).
        multi_label: Whether every column is an independent label, instead of one of K classes.
        weights: Weight of each column, (K,), as `choose_weights` gives them; None for equal ones.
        unknown: Whether targets of a multi-label task may be NaN. The loss is then averaged over
            the others, in all processes; 0 if there are none.
    """
    if not multi_label:
        return F.cross_entropy(logits, targets, weight=weights)
    if not unknown:
        return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
    known = ~targets.isnan()
    losses = F.binary_cross_entropy_with_logits(
        logits, targets.masked_fill(~known, 0.0), pos_weight=weights, reduction="none"
    )
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
    one_hot = F.one_hot(split.labels, split.info.num_classes).float()
    if split.info.task == "ordinal-regression":
        return torch.lerp(
            one_hot, _neighbours(split.info.num_classes)[split.labels], label_smoothing
        )
    return torch.lerp(one_hot, torch.full_like(one_hot, 1 / one_hot.shape[1]), label_smoothing)


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


def class_weights(split: Split) -> Tensor:
    """Return weights that make every class count alike, float32 (K,).

    Args:
        split: Training labels.

    Returns:
        For single-label sets, inverse frequencies with mean 1 over the images; for multi-label
        sets, negatives over positives of each label, among the known ones.
    """
    targets = soft_targets(split)
    counts = targets.nansum(0).clamp(min=1)
    if split.info.multi_label:
        known = (~targets.isnan()).sum(0)
        return (known - counts).clamp(min=0) / counts
    return len(split) / (len(counts) * counts)
