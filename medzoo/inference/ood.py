"""Fitting what recognises images of another kind than those that a model was trained on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset
from medzoo.datasets.storage import iter_chunks
from medzoo.datasets.validation import check_dataset
from medzoo.device import resolve_device
from medzoo.inference.model import in_precision_of
from medzoo.inference.modes import for_inference
from medzoo.inference.ood_scores import Recorder
from medzoo.inference.options import InferenceOptions, Settings
from medzoo.inference.run import run_batches
from medzoo.models import Classifier
from medzoo.transforms import prepare_batch
from medzoo.weights import OODDetector

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MOST_IMAGES = 2000  # of the training split
_MOST_AXES = 48
_KEPT = 0.95  # of the validation images
_LEAST_IMAGES = 20  # in either split: of fewer, 95 % is all or nothing
_SMALLEST = 1e-3  # deviation of a constant feature, as a share of the mean one; variance


def fit_ood_detector(
    model: Classifier, data: Dataset, **options: Unpack[InferenceOptions]
) -> OODDetector:
    """Fit a detector of images of another kind to a model.

    A network gives probabilities for anything, also for a photograph of a street, and is often
    sure of them. The detector looks at the features that the network computes on the way: the
    means of its feature maps, standardised. It measures the Mahalanobis distance from those of the
    training images (Lee et al., *A Simple Unified Framework for Detecting Out-of-Distribution
    Samples*, NeurIPS 2018), without regard to classes, with the covariance of probabilistic PCA.
    The threshold is the distance that 95 % of the validation images do not exceed::

        model.ood_detector = medzoo.fit_ood_detector(model, data)

    From then on `medzoo.predict` marks unfamiliar images, and `medzoo.save_weights` stores the
    detector. The model is not changed. `medzoo.train` and `medzoo.finetune` have done this
    already. After any other change of its weights it has to be fitted again.

    Args:
        model: A model that `medzoo.create_model` made and that was trained on this data.
        data: Its training split gives mean and covariance (2,000 images of it, evenly spaced), its
            validation split the threshold. Labels are not used.
        **options: ``batch_size``, ``device``, ``precision``; see
            `medzoo.inference.InferenceOptions`.

    Returns:
        The detector.

    Raises:
        TypeError: If the model is not a `Classifier`, or `data` is not a `Dataset`.
        ValueError: If another option is given, a split has fewer than 20 images, the network has
            no feature maps on the way to its logits, or its features are constant or not finite.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("breastmnist", n_train=64)
        >>> model = medzoo.train("simple_cnn", data, {"epochs": 1}).model
        >>> model.ood_detector = medzoo.fit_ood_detector(model, data)
    """
    check_dataset("data", data)
    if not isinstance(model, Classifier):
        raise TypeError(
            f"model is a {type(model).__name__}, whose features are not known; give "
            "a model of medzoo.create_model itself"
        )
    for split in (data.train, data.val):
        if len(split) < _LEAST_IMAGES:
            raise ValueError(
                f"the {split.name} split of {split.title} has {len(split)} images; at least "
                f"{_LEAST_IMAGES} are needed to say which images are unfamiliar"
            )
    for name in ("tta", "temperature", "spec"):
        if name in options:
            raise ValueError(f"{name} does not apply to fit_ood_detector; leave it out")
    settings = Settings.of(options, InferenceOptions)
    count = len(data.train)
    rows = torch.linspace(0, count - 1, min(count, _MOST_IMAGES)).long()
    images = data.train.take(rows.to(data.train.images.device))
    detector = fit_gaussian(_features(model, images, settings))
    scores = detector.score(_features(model, data.val.images, settings))
    return replace(detector, threshold=scores.double().quantile(_KEPT).item())


def fit_gaussian(features: Tensor) -> OODDetector:
    """Fit mean and covariance to features; the threshold is 1.

    Args:
        features: Of training images, float32 (N, D).

    Raises:
        ValueError: If they are constant or not finite.
    """
    count, dimensions = features.shape
    values = features.double()
    scale = values.std(0, correction=0)
    least = _SMALLEST * scale.mean().item()
    if not 0 < least < math.inf:
        raise ValueError(
            "the model's features are the same for all images, or not finite, so images of another "
            "kind cannot be recognised; check its weights"
        )
    # Rounded to what is stored, here and below, so that nothing changes when it is read again.
    mean, scale = values.mean(0).float(), scale.clamp(min=least).float()
    standardised = (values - mean) / scale
    vectors = torch.linalg.eigh(standardised.T @ standardised / count).eigenvectors
    kept = min(_MOST_AXES, dimensions // 2, count // 8)
    axes = vectors.flip(1)[:, :kept].half().double().contiguous()
    along = standardised @ axes
    rest = (standardised - along @ axes.T).square().sum(1).mean().item() / (dimensions - kept)
    variances = along.square().mean(0).clamp(min=_SMALLEST).float()
    return OODDetector(mean, scale, axes.float(), variances, max(rest, _SMALLEST), threshold=1.0)


def _features(model: Classifier, images: Tensor, settings: Settings) -> Tensor:
    """Return the features of raw images, float32 (N, D)."""
    recorder, device = Recorder(model), resolve_device(settings.device)
    with torch.no_grad(), for_inference(model, device):
        # Whether the maps are on the way to the logits.
        first = in_precision_of(model, prepare_batch(images[:2].to(device), model.spec.input))
        try:
            is_same = torch.equal(recorder(first), model(first))
        except Exception as error:  # whatever a network without these methods raises
            raise _without_maps(model) from error
    if not is_same:
        raise _without_maps(model)
    recorder.features.clear()
    batches = (
        prepare_batch(chunk.to(device, non_blocking=True), model.spec.input)
        for chunk in iter_chunks(images, int(settings.batch_size))
    )
    run_batches(recorder, batches, model.spec, settings)
    return torch.cat(recorder.features).float().cpu()


def _without_maps(model: nn.Module) -> ValueError:
    return ValueError(
        f"a {type(model).__name__} does not compute its logits from the feature maps that its "
        "forward_intermediates gives, as most networks of timm do, so images of another kind "
        "cannot be recognised"
    )
