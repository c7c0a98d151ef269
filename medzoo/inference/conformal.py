"""Conformal prediction: sets of classes that contain the truth as often as asked.

Both methods sort by one number per class, how *strange* the class is for the image, and take the
classes up to a threshold. Thresholds are chosen by conformal risk control (Angelopoulos et al.,
ICLR 2024): the share of labels that sets miss on new images is at most 1 - coverage on average. For
an image with one label, that is split conformal prediction.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

from medzoo.datasets import Split
from medzoo.inference.options import Settings
from medzoo.spec import ConformalMethod, ConformalSpec, ModelSpec
from medzoo.spec.conformal import COVERAGE, check_coverage

_ROUNDING = 1e-9


def fit_conformal(
    probabilities: Tensor,
    split: Split,
    *,
    coverage: float = COVERAGE,
    method: ConformalMethod = "lac",
    class_conditional: bool = False,
) -> ConformalSpec:
    """Find the thresholds of prediction sets, with the exact correction for a finite split.

    Args:
        probabilities: Calibrated probabilities of the N images, float64 (N, K).
        split: The split, which has their labels. Unknown labels are left out; of a multi-label
            split, images without any label count for nothing, as sets cannot miss any there.
        coverage: Probability with which the set contains the class of a new image; for multi-label
            tasks the expected share of an image's labels that are in the set.
        method: See `medzoo.spec.ConformalSpec`; multi-label tasks have ``"lac"`` only.
        class_conditional: Whether each class has a threshold of its own, so that the coverage
            holds for the images of each class.

    Raises:
        TypeError: If the coverage is not a number.
        ValueError: If a value does not fit, or there are too few images for this coverage, in all
            or of one class.
    """
    coverage = check_coverage(coverage)
    if split.info.multi_label and method != "lac":
        raise ValueError(
            f"method={method!r} is for single-label tasks, and {split.title} is multi-label; leave "
            "it out: sets of labels are those whose probability is above a threshold"
        )
    strange = _strangeness(probabilities.double(), method)
    truth = _truth(split)
    thresholds = []
    for k, name in enumerate(split.info.classes if class_conditional else ("",)):
        images = truth[:, k : k + 1] if class_conditional else truth
        weights = images.double() / images.sum(dim=1, keepdim=True).clamp(min=1)
        count = int(images.any(dim=1).sum())
        if count < images_needed(coverage):
            raise _too_few(split, coverage, count, name)
        values = strange[:, k : k + 1] if class_conditional else strange
        thresholds.append(abs(_quantile(values[images], weights[images], count, coverage)))
    return ConformalSpec(method, coverage, tuple(thresholds), int(truth.any(dim=1).sum()))


def prediction_sets(
    conformal: ConformalSpec, probabilities: Tensor, *, multi_label: bool
) -> Tensor:
    """Return which classes are in the set of each image.

    Args:
        conformal: The thresholds.
        probabilities: Calibrated probabilities, float64 (N, K).
        multi_label: Whether sets may be empty; otherwise the most probable class is always in.

    Returns:
        Boolean (N, K).
    """
    limits = torch.tensor(conformal.thresholds, dtype=torch.float64)
    limits = -limits if conformal.method == "lac" else limits
    inside = _strangeness(probabilities, conformal.method) <= limits
    if not multi_label:
        inside.scatter_(1, probabilities.argmax(dim=1, keepdim=True), True)
    return inside


def named_sets(
    conformal: ConformalSpec, probabilities: Tensor, spec: ModelSpec
) -> list[tuple[str, ...]]:
    """Return the names of the classes in the set of each image, the most probable first.

    Args:
        conformal: The thresholds.
        probabilities: Calibrated probabilities, float64 (N, K).
        spec: What the model is.
    """
    inside = prediction_sets(conformal, probabilities, multi_label=spec.multi_label).tolist()
    ranked = probabilities.argsort(dim=1, descending=True, stable=True).tolist()
    names = spec.class_names
    return [
        tuple(names[k] for k in order if members[k])
        for order, members in zip(ranked, inside, strict=True)
    ]


def conformal_for(
    spec: ModelSpec, settings: Settings, own: ModelSpec | None = None
) -> ConformalSpec | None:
    """Return a model's thresholds; None if it has none, or they are not for how it is run.

    Args:
        spec: As for `runs_as_calibrated`.
        settings: As for `runs_as_calibrated`.
        own: As for `runs_as_calibrated`.
    """
    return spec.conformal if runs_as_calibrated(spec, settings, own) else None


def runs_as_calibrated(spec: ModelSpec, settings: Settings, own: ModelSpec | None = None) -> bool:
    """Return whether what was fitted to a model's probabilities holds for how it is run.

    Args:
        spec: What the model is.
        settings: How it is run. Other views or another temperature give other probabilities.
        own: The model's own spec, if `spec` was given instead of it.
    """
    own = own or spec
    return (
        settings.tta == "none"
        and settings.temperature in (None, spec.temperature)
        and (own.input, own.temperature) == (spec.input, spec.temperature)
    )


def images_needed(coverage: float) -> int:
    """Return the least number of images that a coverage can be calibrated on.

    Args:
        coverage: The coverage, in (0, 1).
    """
    share = _exact(coverage)
    return math.ceil(share / (1 - share))


def calibration_images(split: Split) -> int:
    """Return the number of images of a split that thresholds can be fitted to.

    Args:
        split: The split.
    """
    return int(_truth(split).any(dim=1).sum())


def _strangeness(probabilities: Tensor, method: ConformalMethod) -> Tensor:
    """Return how strange each class is for each image, float64 (N, K).

    For APS, it is the sum of the probabilities of the classes before it. Romano et al. (NeurIPS
    2020) add a random part of the class's own probability; without it, equal images have equal
    sets, and the most probable class is never strange.
    """
    if method == "lac":
        return -probabilities
    ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
    before = torch.zeros_like(ranked)
    before[:, 1:] = ranked[:, :-1].cumsum(dim=1)
    return torch.zeros_like(ranked).scatter_(1, order, before)


def _quantile(values: Tensor, weights: Tensor, images: int, coverage: float) -> float:
    """Return the least value up to which the labels weigh enough.

    Missed labels may weigh (1 - coverage) * (images + 1) - 1. With one label per image, it is the
    value of rank ceil(coverage * (images + 1)).
    """
    ordered, order = values.sort()
    enough = float(_exact(coverage) * (images + 1)) * (1 - _ROUNDING)
    rank = torch.searchsorted(weights[order].cumsum(0), enough)
    return float(ordered[rank])


def _exact(coverage: float) -> Fraction:
    """Return the number that was written: 0.9 is nine tenths, not the float next to it."""
    return Fraction(repr(coverage))


def _truth(split: Split) -> Tensor:
    """Return which labels each image has, boolean (N, K); unknown ones count as absent."""
    labels = split.labels.cpu()
    if split.info.multi_label:
        return labels == 1
    return torch.nn.functional.one_hot(labels.reshape(-1).long(), split.info.num_classes).bool()


def _too_few(split: Split, coverage: float, count: int, name: str) -> ValueError:
    labelled = "images with a label" if split.info.multi_label else "images"
    what = f"images of {name!r}" if name else labelled
    alone = "coverage=None (--coverage none) for the temperature alone"
    fix = "class_conditional=False" if name else alone
    return ValueError(
        f"the {split.name} split of {split.title} has {count:,} {what}, too few for a coverage of "
        f"{coverage:g}, which needs at least {images_needed(coverage):,}; give more images, a "
        f"lower coverage, or {fix}"
    )
