"""Temperature scaling: one number that makes a model as sure as it is right."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets import Split
from medzoo.inference.model import Model
from medzoo.inference.options import InferenceOptions, SplitOptions
from medzoo.inference.run import split_logits

if TYPE_CHECKING:
    from typing_extensions import Unpack

_DOUBLINGS = 40
"""Logits that have to grow further than this are as sure as they can be."""
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
    logits. `medzoo.train` and `medzoo.finetune` have done this already.

    A small split cannot show everything: if n decisions are all right, the next one is right with
    a probability of (n + 1) / (n + 2) (Laplace's rule of succession). So a model is not made more
    certain than that on average, and not less certain than 1 / (n + 2) of the way from guessing to
    certainty. The likelihood is never lower than at temperature 1.

    Args:
        model: A medzoo or timm model, an ensemble, or any callable from a float batch
            (N, C, H, W) to logits (N, K) with `spec=`.
        split: Labelled images that the model was not trained on and that will not measure it
            either: ``data.val``. Unknown labels are left out.
        **options: ``batch_size``, ``device``, ``precision``, ``spec``; see
            `medzoo.inference.InferenceOptions`.

    Returns:
        The temperature, above 0. It is 1.0, with a warning, if the logits say no more than
        guessing.

    Raises:
        TypeError: If `split` is not a `Split`, or the model does not say what it is.
        ValueError: If the split is empty, the model was made for another kind of task or another
            number of classes, gives NaN or infinite logits, or a temperature or views are given.
    """
    found = best_temperature(uncalibrated_logits(model, split, **options), split)
    if found is None:
        warnings.warn(
            f"no temperature fits the {split.name} split of {split.title} best: the logits say no "
            "more than guessing; 1.0 leaves probabilities as they are",
            UserWarning,
            stacklevel=2,
        )
    return found or 1.0


def uncalibrated_logits(model: Model, split: Split, **options: Unpack[SplitOptions]) -> Tensor:
    """Run a model over a split to fit its temperature; arguments and errors as `fit_temperature`.

    Args:
        model: The model, whose own temperature does not count.
        split: Labelled images.
        **options: As for `fit_temperature`; also ``progress`` and ``sharded``.

    Returns:
        Finite float64 (N, K), on the CPU.
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
    return logits


def negative_log_likelihood(logits: Tensor, split: Split) -> float:
    """Return how unlikely the labels of a split are, as a mean over images and known labels.

    Args:
        logits: Calibrated logits, (N, K).
        split: The split, which has the labels of the N images.
    """
    values, targets = _decisions(logits.double(), split)
    if split.info.multi_label:
        return F.binary_cross_entropy_with_logits(values, targets).item()
    return F.cross_entropy(values, targets).item()


def best_temperature(logits: Tensor, split: Split) -> float | None:
    """Find the temperature that `fit_temperature` describes for logits that are known already.

    As a function of the *inverse* temperature the negative log-likelihood is convex, so its slope
    is zero at most once, and halving an interval finds where.

    Args:
        logits: The network's own logits, finite float64 (N, K).
        split: The split, which has the labels of the N images.

    Returns:
        The temperature; None if the logits say no more than guessing.
    """
    multi_label = split.info.multi_label
    logits, targets = _decisions(logits, split)
    if not len(targets):  # no label is known
        return None
    if not multi_label:
        logits = logits - logits.mean(dim=1, keepdim=True)  # a row's softmax does not see it
    # In units of their own size, so that the search is the same for logits of any.
    unit = logits.abs().mean().item()
    values = logits / unit if unit > 0 else logits
    observed = (values * targets).sum(dim=1)
    guessing = 0.5 if multi_label else 1 / values.shape[1]
    margin = 1 / (len(values) + 2)
    least, most = guessing + (1 - guessing) * margin, 1 - margin

    def is_reached(inverse: float) -> bool:
        """Whether the best inverse temperature is at most this one."""
        scaled = values * inverse
        chances = scaled.sigmoid() if multi_label else scaled.softmax(dim=1)
        is_past = float(((chances * values).sum(dim=1) - observed).mean()) >= 0
        sure = torch.maximum(chances, 1 - chances) if multi_label else chances.amax(dim=1)
        # Between the likeliest and temperature 1, where the inverse is `unit`, it is never worse.
        if inverse < unit:
            return is_past and bool(sure.mean() >= least)
        return is_past or bool(sure.mean() >= most)

    if float(((guessing - targets) * values).sum(dim=1).mean()) >= 0:
        return None
    low, high = 0.0, 1.0
    for _ in range(_DOUBLINGS):
        if is_reached(high):
            break
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_reached(middle) else (middle, high)
    return unit / high


def _decisions(logits: Tensor, split: Split) -> tuple[Tensor, Tensor]:
    """Return logits and targets (0 or 1) of each decision: an image's class, or one known label.

    Returns:
        Float64 (N, K); (M, 1) for the M known labels of a multi-label split.
    """
    labels = split.labels.cpu()
    if split.info.multi_label:
        known = ~labels.isnan()
        return logits[known][:, None], labels[known][:, None].double()
    return logits, F.one_hot(labels.reshape(-1).long(), logits.shape[1]).double()
