"""Temperature scaling: one number that makes a model as sure as it is right."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets import Split
from medzoo.device import Precision
from medzoo.inference.model import Model
from medzoo.inference.run import split_logits
from medzoo.transforms import TransformConfig

_DOUBLINGS = 40
"""Logits that have to grow further than this are right but for a rounding error."""
_HALVINGS = 60


def fit_temperature(
    model: Model,
    split: Split,
    *,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    precision: Precision = "float32",
    config: TransformConfig | None = None,
) -> float:
    """Find the temperature at which a model's probabilities fit a split best.

    Logits divided by it give the labels the highest likelihood (Guo et al., *On Calibration of
    Modern Neural Networks*, ICML 2017). Above 1 it makes a model less sure, below 1 surer; the
    order of classes stays, so the accuracy of single-label tasks does too. The model is not
    changed::

        model.temperature = medzoo.fit_temperature(model, data.val)

    From then on `medzoo.predict` and `medzoo.evaluate` divide by it, and `medzoo.save_weights`
    stores it. A temperature that the model already has does not count: the fit is to its logits.

    Args:
        model: A medzoo or timm model, an ensemble, or any callable from a float batch
            (N, C, H, W) to logits (N, K).
        split: Labelled images that the model was not trained on and that will not measure it
            either: ``data.val``.
        batch_size: Images run at once.
        device: ``"auto"``, a PyTorch device string, or a `torch.device`.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``.
        config: What the model expects, instead of what it says itself.

    Returns:
        The temperature, above 0. It is 1.0, with a warning, where the likelihood has no maximum:
        if every label is right, or the logits tell no more than guessing.

    Raises:
        ValueError: If `split` is no `Split` or is empty, the model was made for another kind of
            task or another number of classes, or gives NaN or infinite logits.
    """
    logits = split_logits(
        model, split, batch_size=batch_size, device=device, precision=precision, config=config
    )
    infinite = (~logits.isfinite()).any(dim=1).nonzero()
    if len(infinite):
        raise ValueError(
            f"the model gave NaN or infinite logits for {len(infinite)} of {len(logits)} images "
            f"(first: image {int(infinite[0])}); no temperature fits them"
        )
    labels = split.labels.cpu()
    if split.info.multi_label:
        targets = labels.double()
    else:
        targets = F.one_hot(labels.reshape(-1).long(), logits.shape[1]).double()
    return _best_temperature(logits.double(), targets, split)


def _best_temperature(logits: Tensor, targets: Tensor, split: Split) -> float:
    """Minimise the negative log-likelihood of targets (0 or 1), all float64 (N, K).

    As a function of the *inverse* temperature it is convex, so its slope is zero at most once,
    and halving an interval finds where.
    """
    multi_label = split.info.multi_label
    if not multi_label:
        logits = logits - logits.mean(dim=1, keepdim=True)  # a row's softmax does not see it
    # In units of their own size, so that the search is the same for logits of any.
    unit = logits.abs().mean()
    values = logits / unit if unit > 0 else logits
    observed = (values * targets).sum(dim=1)
    most = values.relu().sum(dim=1) if multi_label else values.amax(dim=1)

    def slope(inverse: float) -> float:
        scaled = values * inverse
        chances = scaled.sigmoid() if multi_label else scaled.softmax(dim=1)
        return float(((chances * values).sum(dim=1) - observed).mean())

    if slope(0.0) >= 0:
        return _without_maximum(split, "the logits tell no more than guessing")
    low, high = 0.0, 1.0
    for _ in range(_DOUBLINGS if (observed < most).any() else 0):
        if slope(high) >= 0:
            break
        low, high = high, 2 * high
    else:
        return _without_maximum(split, "every label is right")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(unit / high)


def _without_maximum(split: Split, reason: str) -> float:
    warnings.warn(
        f"no temperature fits the {split.name} split of {split.title} best: {reason}; 1.0 leaves "
        "probabilities as they are",
        UserWarning,
        stacklevel=4,
    )
    return 1.0
