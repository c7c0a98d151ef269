"""Temperature scaling: one number that makes a model as sure as it is right."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets import Split
from medzoo.inference.model import Model
from medzoo.inference.options import InferenceOptions, SplitOptions
from medzoo.inference.run import split_logits

if TYPE_CHECKING:
    from typing_extensions import Unpack

_DOUBLINGS = 40
"""Logits that have to grow further than this are right but for a rounding error."""
_HALVINGS = 60


def fit_temperature(model: Model, split: Split, **options: Unpack[InferenceOptions]) -> float:
    """Find the temperature at which a model's probabilities fit a split best.

    Logits divided by it give the labels the highest likelihood (Guo et al., *On Calibration of
    Modern Neural Networks*, ICML 2017). Above 1 it makes a model less certain, below 1 more
    certain; the order of classes stays, so the accuracy of single-label tasks does too. The model
    is not changed::

        model.temperature = medzoo.fit_temperature(model, data.val)

    From then on `medzoo.predict` and `medzoo.evaluate` divide by it, and `medzoo.save_weights`
    stores it. A temperature that the model already has does not count: the fit is to its own
    logits.

    Args:
        model: A medzoo or timm model, an ensemble, or any callable from a float batch
            (N, C, H, W) to logits (N, K) with `spec=`.
        split: Labelled images that the model was not trained on and that will not measure it
            either: ``data.val``. Unknown labels are left out.
        **options: ``batch_size``, ``device``, ``precision``, ``spec``; see
            `medzoo.inference.InferenceOptions`.

    Returns:
        The temperature, above 0. It is 1.0, with a warning, where the likelihood has no maximum:
        if every label is right, or the logits say no more than guessing.

    Raises:
        TypeError: If `split` is not a `Split`, or the model does not say what it is.
        ValueError: If the split is empty, the model was made for another kind of task or another
            number of classes, gives NaN or infinite logits, or a temperature or views are given.
    """
    for name in ("temperature", "tta"):
        if name in options:
            raise ValueError(f"{name} does not apply to fit_temperature; leave it out")
    uncalibrated: SplitOptions = {**options, "temperature": 1.0}
    logits = split_logits(model, split, **uncalibrated)
    infinite = (~logits.isfinite()).any(dim=1).nonzero()
    if len(infinite):
        raise ValueError(
            f"the model gave NaN or infinite logits for {len(infinite)} of {len(logits)} images "
            f"(first: image {int(infinite[0])}); no temperature fits them"
        )
    labels = split.labels.cpu()
    if split.info.multi_label:
        known = ~labels.isnan()
        # The likelihood of a logit of 0 is the same at any temperature.
        logits, targets = logits.where(known, 0.0), labels.double().where(known, 0.0)
    else:
        targets = F.one_hot(labels.reshape(-1).long(), logits.shape[1]).double()
    return _best_temperature(logits, targets, split)


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
        return _without_maximum(split, "the logits say no more than guessing")
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
