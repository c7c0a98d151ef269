"""Test-time augmentation: several views of each image, whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from medzoo.datasets import DatasetInfo
from medzoo.errors import unknown_name
from medzoo.inference.model import Model, logits_of

TTA = Literal["none", "flip", "dihedral"]
"""Which views of an image are averaged: itself; with its mirror image; and both in quarter turns."""


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


class ViewAverage(nn.Module):
    """A model that sees several views of each image and gives their mean probabilities.

    It is a module so that the model in it, if it is one too, can be moved and put into evaluation
    mode through it.

    Args:
        model: Any callable from a float batch (N, C, H, W) to logits (N, K).
        tta: Which views; see `views`.
        multi_label: Whether probabilities are sigmoids instead of a softmax.
        temperature: What the model's logits are divided by to become probabilities.
    """

    def __init__(self, model: Model, tta: TTA, multi_label: bool, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.tta = tta
        self.multi_label = multi_label
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch to logits which, divided by the temperature, give the mean probabilities."""
        # Only here, as the models bring timm along, and whoever evaluates a network of their own
        # as it is has no need of it.
        from medzoo.models import average_logits

        # A turn exchanges height and width in memory as well, and models are channels-last.
        logits = [
            logits_of(self.model, view.contiguous(memory_format=torch.channels_last))
            for view in views(x, self.tta)
        ]
        mean = average_logits([one.float() / self.temperature for one in logits], self.multi_label)
        return mean * self.temperature


def with_tta(model: Model, tta: TTA, info: DatasetInfo | None, temperature: float) -> Model:
    """Return the model that averages over views, or the model itself for ``"none"``.

    Args:
        model: Any callable from a float batch (N, C, H, W) to logits (N, K).
        tta: Which views; see `views`.
        info: What the images show; None for single-label images of which nothing is known.
        temperature: What the model's logits are divided by to become probabilities.

    Returns:
        A callable of the same kind: its logits, too, become probabilities when they are divided
        by the temperature.

    Raises:
        ValueError: If `tta` is unknown, or classes tell left from right, so that a mirror image
            belongs to another one.
    """
    if tta not in get_args(TTA):
        raise unknown_name("tta", tta, get_args(TTA))
    if tta == "none":
        return model
    if info is not None and info.has_laterality:
        raise ValueError(
            f"tta={tta!r} mirrors images, and the classes of {info.title} tell left from right: a "
            "mirrored image belongs to another class; use tta='none'"
        )
    return ViewAverage(model, tta, info is not None and info.multi_label, temperature)
