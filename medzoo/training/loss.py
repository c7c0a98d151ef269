"""The loss of a task, what it compares with, and weights that make rare classes count."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets import Split

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of logits and target probabilities, both float32 (N, K), to a scalar."""


def task_loss(split: Split, balanced: bool, device: torch.device) -> Loss:
    """Return the loss of a data set's task.

    Args:
        split: The training labels.
        balanced: Whether every class counts alike.
        device: Where logits and targets are.
    """
    weights = class_weights(split).to(device) if balanced else None
    return partial(loss_of, multi_label=split.info.multi_label, weights=weights)


def loss_of(
    logits: Tensor, targets: Tensor, multi_label: bool, weights: Tensor | None = None
) -> Tensor:
    """Compare logits with target probabilities, averaged over the images.

    Args:
        logits: (N, K).
        targets: Target probabilities, float32 (N, K).
        multi_label: Whether every column is an independent label, instead of one of K classes.
        weights: Weight of each column, (K,), as `class_weights` gives them; None for equal ones.
    """
    if multi_label:
        return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
    return F.cross_entropy(logits, targets, weight=weights)


def soft_targets(split: Split, label_smoothing: float = 0.0) -> Tensor:
    """Turn labels into target probabilities, float32 (N, K).

    Args:
        split: The labels and their task.
        label_smoothing: Share of the target spread over all classes (Szegedy et al., 2016), for
            ordinal sets over the neighbouring grades; for multi-label sets, half of it moves
            each label towards 0.5.
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


def class_weights(split: Split) -> Tensor:
    """Return weights that make every class count alike, float32 (K,).

    Args:
        split: Training labels.

    Returns:
        For single-label sets, inverse frequencies with mean 1 over the images; for multi-label
        sets, negatives over positives of each label.
    """
    counts = soft_targets(split).sum(0).clamp(min=1)
    if split.info.multi_label:
        return (len(split) - counts) / counts
    return len(split) / (len(counts) * counts)
