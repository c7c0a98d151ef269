"""Test-time augmentation: several views of each image, whose probabilities are averaged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medzoo.inference.model import Model, at_least_float32, logits_of
from medzoo.inference.output_check import OutputCheck
from medzoo.spec import ModelSpec

TTA = Literal["none", "flip", "dihedral"]
"""Which views of an image are averaged: itself, with its mirror image, both in quarter turns."""


def views(images: Tensor, tta: TTA) -> Iterator[Tensor]:
    """Yield the views of a batch, the images as they are first.

    Args:
        images: (N, C, H, W); for ``"dihedral"`` with H = W.
        tta: ``"none"`` (1 view), ``"flip"`` (2: as they are, and left and right exchanged) or
            ``"dihedral"`` (8: each of these in 4 quarter turns).

    Yields:
        Batches of the same shape.
    """
    for quarters in range(4 if tta == "dihedral" else 1):
        turned = images.rot90(quarters, (-2, -1)) if quarters else images
        yield turned
        if tta != "none":
            yield turned.flip(-1)


def average_logits(logits: Sequence[Tensor], multi_label: bool) -> Tensor:
    """Return logits whose probabilities are the mean of those of several logits.

    Computed from logarithms throughout, so that they are finite wherever the given ones are.

    Args:
        logits: Several (N, K) for the same images, calibrated; at least one.
        multi_label: Whether probabilities are the sigmoid of each logit instead of the softmax
            over classes.

    Returns:
        float32, or float64 if one of them is, (N, K): the logarithm of the mean probability; for
        multi-label tasks its logit.
    """
    widest = max((at_least_float32(one).dtype for one in logits), key=lambda kind: kind.itemsize)
    given = torch.stack([one.to(widest) for one in logits])
    if multi_label:  # log(p / (1 - p)); the number of members cancels out
        return F.logsigmoid(given).logsumexp(0) - F.logsigmoid(-given).logsumexp(0)
    return given.log_softmax(dim=2).logsumexp(0) - math.log(len(logits))


class ViewAverage(nn.Module):
    """A model that sees several views of each image and gives their mean probabilities.

    It is a module so that the model in it, if it is one too, can be moved and put into evaluation
    mode through it.

    Args:
        model: Any callable from a float batch (N, C, H, W) to logits (N, K).
        tta: Which views; see `views`.
        multi_label: Whether probabilities are sigmoids instead of a softmax.
        temperature: What the model's logits are divided by to become probabilities.
        check: Where the model's own outputs are added, if given.
    """

    def __init__(
        self,
        model: Model,
        tta: TTA,
        multi_label: bool,
        temperature: float,
        check: OutputCheck | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.tta = tta
        self.multi_label = multi_label
        self.temperature = temperature
        self.check = check

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch to calibrated logits (N, K), which give the mean probabilities."""
        # A turn exchanges height and width in memory as well, and models are channels-last.
        logits = [
            logits_of(self.model, view.contiguous(memory_format=torch.channels_last))
            for view in views(x, self.tta)
        ]
        if self.check is not None:
            for one in logits:
                self.check.add(one)
        return average_logits(
            [at_least_float32(one) / self.temperature for one in logits], self.multi_label
        )


def check_views(tta: TTA, spec: ModelSpec) -> None:
    """Refuse views that mirror images where classes distinguish left from right.

    Args:
        tta: Which views.
        spec: What the model is.

    Raises:
        ValueError: If a mirror image belongs to another class.
    """
    if tta != "none" and spec.has_laterality:
        raise ValueError(
            f"tta={tta!r} mirrors images, and the classes {spec.classes!r} distinguish left from "
            "right: a mirrored image belongs to another class; use tta='none'"
        )
