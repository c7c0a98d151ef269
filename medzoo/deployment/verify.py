"""Checking that an exported file computes what the model does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from medzoo.deployment.onnx_graph import in_evaluation_mode
from medzoo.inference.ood_scores import WithScores, scores_itself
from medzoo.inference.output_check import refuse_probabilities
from medzoo.spec import find_spec

TOLERANCE = 1e-4
"""Allowed difference of a float32 logit, relative to the largest logit if that is above 1."""


def largest_difference(
    model: nn.Module, exported: Callable[[Tensor], Tensor], images: Tensor
) -> tuple[float, float]:
    """Run both on the same images: on all at once, and on the first one alone.

    Args:
        model: The model, on the CPU.
        exported: The exported model.
        images: Normalised images (N, C, H, W).

    Returns:
        The largest difference of a logit and the largest logit of the model, both in absolute
        value. The former is NaN if a logit is.

    Raises:
        ValueError: If the model gives probabilities instead of logits.
    """
    spec = find_spec(model)
    differences, sizes = [], []
    with in_evaluation_mode(model), torch.inference_mode():
        for batch in (images, images[:1]):
            expected = model(batch)
            refuse_probabilities(expected, bool(spec and spec.multi_label))
            differences.append((exported(batch) - expected).abs().max())
            sizes.append(expected.abs().max())
    return float(torch.stack(differences).max()), float(torch.stack(sizes).max())


def check_agreement(
    model: nn.Module, exported: Callable[[Tensor], Tensor], images: Tensor
) -> float:
    """Raise an error if the exported model computes something else than the model.

    Args:
        model: The model, on the CPU.
        exported: The exported model, in float32.
        images: Normalised images (N, C, H, W).

    Returns:
        The largest absolute difference of a logit.

    Raises:
        ValueError: If it is above `TOLERANCE`, a logit is NaN, the model gives probabilities, or
            an out-of-distribution score is another one.
    """
    difference, largest = largest_difference(model, exported, images)
    allowed = TOLERANCE * max(1.0, largest)
    if not difference <= allowed:
        spec = find_spec(model)
        name = (spec and spec.architecture) or type(model).__name__
        raise ValueError(
            f"the exported {name} does not compute what the model does: logits differ by "
            f"{difference:.2g}, and rounding explains at most {allowed:.2g}; use the model itself, "
            "and please report this"
        )
    _check_scores(model, exported, images)
    return difference


def _check_scores(model: nn.Module, exported: object, images: Tensor) -> None:
    """Raise an error if the out-of-distribution scores of an exported model are others."""
    if not scores_itself(exported):
        return
    with in_evaluation_mode(model), torch.inference_mode():
        _, expected = WithScores(model)(images)
    found = exported.with_ood_scores(images)[1]
    difference = float(((found - expected).abs() / expected.clamp(min=1)).max())
    if not difference <= TOLERANCE:
        raise ValueError(
            "the exported model does not score unfamiliar images as the model does: scores differ "
            f"by {difference:.2g}, and rounding explains at most {TOLERANCE}; export it without "
            "its detector (model.ood_detector = None), and please report this"
        )
