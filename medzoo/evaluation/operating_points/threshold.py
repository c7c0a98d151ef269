"""Choosing the probability above which a model says yes, on images that do not measure it."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medzoo.datasets import Split
from medzoo.deployment import load_model
from medzoo.errors import as_number
from medzoo.escape import for_display
from medzoo.evaluation.metrics import THRESHOLD, Floats, check_threshold, score_predictions
from medzoo.inference import Model, SplitOptions, probabilities, split_logits
from medzoo.inference.options import check_options

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds of a model's probabilities, and what they gave where they were chosen.

    Attributes:
        threshold: Probability above which the second class of a binary task is decided for, in
            (0, 1); for multi-label tasks one per label.
        labels: What is decided for: the second class, or the labels.
        sensitivity: Sensitivity for each of `labels` on the images that chose the threshold; NaN
            where it could not be chosen. On other images, expect less.
        specificity: The same for the specificity.
        criterion: How it was chosen.
        title: Data set that it was chosen on.
        split: Split that it was chosen on.
        n: Number of images that it was chosen on.
        fingerprint: Digest that identifies these images.
    """

    threshold: float | tuple[float, ...]
    labels: tuple[str, ...]
    sensitivity: tuple[float, ...]
    specificity: tuple[float, ...]
    criterion: str
    title: str
    split: str
    n: int
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON-safe values; NaN becomes None."""
        values = asdict(self)
        for name in ("sensitivity", "specificity"):
            values[name] = [None if math.isnan(value) else value for value in values[name]]
        if isinstance(self.threshold, tuple):
            values["threshold"] = list(self.threshold)
        return {**values, "labels": list(self.labels)}

    def __str__(self) -> str:
        thresholds = self.threshold if isinstance(self.threshold, tuple) else (self.threshold,)
        lines = [
            f"{self.criterion}, chosen on {for_display(self.title)}, {self.split} split "
            f"({self.n:,} images):"
        ]
        rows = zip(self.labels, thresholds, self.sensitivity, self.specificity, strict=True)
        lines += [
            f"  {for_display(label)} above {threshold:.3g}: sensitivity {found:.3f}, "
            f"specificity {spared:.3f}"
            for label, threshold, found, spared in rows
        ]
        return "\n".join(lines)


ThresholdLike: TypeAlias = "float | Sequence[float] | OperatingPoint"
"""A probability, one per label, or an operating point of `choose_threshold`."""


def choose_threshold(
    model: Model | str | os.PathLike[str],
    split: Split,
    *,
    min_sensitivity: float | None = None,
    min_specificity: float | None = None,
    **options: Unpack[SplitOptions],
) -> OperatingPoint:
    """Choose the probability above which a binary or multi-label model decides for yes.

    By default it maximises Youden's J, sensitivity + specificity - 1, which is the balanced
    accuracy in other words. Thresholds lie halfway between two probabilities of the split.

    Args:
        model: As for `medzoo.evaluate`.
        split: Labelled images that the model was not trained on and that will *not* measure it
            either: ``data.val``. `medzoo.evaluate` refuses to report the scores of an operating
            point on the split that chose it, because they would be too good. A part of that split,
            or its images in another order, are not recognised.
        min_sensitivity: Instead, the best specificity with at least this sensitivity, in (0, 1].
        min_specificity: Instead, the best sensitivity with at least this specificity, in (0, 1].
        **options: As for `medzoo.evaluate`. The same temperature and views have to be used with
            the threshold afterwards.

    Returns:
        The operating point, for ``evaluate(..., threshold=)`` and ``predict(..., threshold=)``.
        Labels that no image of the split has, or all, keep 0.5, with one warning.

    Raises:
        TypeError: If `split` is not a `Split`, a minimum is not a number, or the model does not say
            what it is.
        ValueError: If the task decides for the most probable class, both minima are given or one
            is not in (0, 1], no threshold reaches it, or the split is empty or does not fit.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("breastmnist")
        >>> model = medzoo.create_model("simple_cnn", dataset=data)
        >>> point = medzoo.choose_threshold(model, data.val, min_sensitivity=0.9)
        >>> medzoo.evaluate(model, data.test, threshold=point).threshold == point.threshold
        True
    """
    check_options(choose_threshold, options)
    criterion = _criterion(min_sensitivity, min_specificity)
    runs = load_model(model)
    logits = split_logits(runs, split, **options)
    info = split.info
    check_threshold(THRESHOLD, info.task, info.num_classes)  # whether the task has any
    data = score_predictions(split.labels, probabilities(logits, info.task), info.task)
    columns = range(len(info.classes))[data.auc_classes]
    chosen, undecided = [], []
    for k in columns:
        known = data.known[:, k]
        truth, scores = data.truth[known, k], data.scores[known, k]
        if truth.all() or not truth.any():
            undecided.append(info.classes[k])
            chosen.append((THRESHOLD, math.nan, math.nan))
            continue
        try:
            chosen.append(_best(truth, scores, min_sensitivity, min_specificity))
        except ValueError as error:
            raise ValueError(f"{info.classes[k]}: {error}") from None
    if undecided:
        warnings.warn(
            f"the {split.name} split of {split.title} has no image with or no image without "
            f"{', '.join(undecided)}, so their threshold stays {THRESHOLD}",
            UserWarning,
            stacklevel=2,
        )
    thresholds, sensitivity, specificity = zip(*chosen, strict=True)
    return OperatingPoint(
        threshold=thresholds if info.multi_label else thresholds[0],
        labels=tuple(info.classes[k] for k in columns),
        sensitivity=sensitivity,
        specificity=specificity,
        criterion=criterion,
        title=split.title,
        split=split.name,
        n=len(split),
        fingerprint=_fingerprint(split),
    )


def threshold_for(threshold: ThresholdLike | None, split: Split) -> float | list[float] | None:
    """Return the threshold to score a split with, as plain numbers.

    Args:
        threshold: What the caller gave.
        split: The images to be scored.

    Raises:
        TypeError: If it is not a number, or a sequence of numbers.
        ValueError: If it does not fit the task, or was chosen on this split.
    """
    if threshold is None or not isinstance(split, Split):  # `split_logits` says what is wrong
        return None
    if isinstance(threshold, OperatingPoint):
        if threshold.fingerprint == _fingerprint(split):
            raise ValueError(
                f"the threshold was chosen on this {split.name} split, so scores on it would be "
                "too good; give other images, such as data.test"
            )
        threshold = threshold.threshold
    above = check_threshold(threshold, split.info.task, split.info.num_classes)
    plain: list[float] = above.tolist()
    return plain if len(plain) > 1 else plain[0]


def _criterion(min_sensitivity: float | None, min_specificity: float | None) -> str:
    given = {"sensitivity": min_sensitivity, "specificity": min_specificity}
    wanted = {name: value for name, value in given.items() if value is not None}
    if len(wanted) == 2:
        raise ValueError("give min_sensitivity or min_specificity, not both")
    for name, value in wanted.items():
        expected = "a number above 0, at most 1"
        if not 0 < as_number(f"min_{name}", value, expected) <= 1:
            raise ValueError(f"min_{name}={value!r} must be {expected}")
        other = next(one for one in given if one != name)
        return f"Best {other} with a {name} of at least {value:g}"
    return "Best sensitivity + specificity (Youden's J)"


def _best(
    truth: NDArray[np.bool_],
    scores: Floats,
    min_sensitivity: float | None,
    min_specificity: float | None,
) -> tuple[float, float, float]:
    """Return threshold, sensitivity and specificity; both kinds of images occur."""
    values = np.unique(scores)
    low, high = np.append(0.0, values), np.append(values, 1.0)
    middle = low + (high - low) / 2
    thresholds = np.where(middle < high, middle, low)  # of neighbouring numbers
    thresholds = thresholds[(thresholds > 0) & (thresholds < 1)]
    positives, negatives = np.sort(scores[truth]), np.sort(scores[~truth])
    found = len(positives) - np.searchsorted(positives, thresholds, side="right")
    spared = np.searchsorted(negatives, thresholds, side="right")
    sensitivity, specificity = found / len(positives), spared / len(negatives)
    if min_sensitivity is not None:
        reached, wanted, first = sensitivity, min_sensitivity, spared
    elif min_specificity is not None:
        reached, wanted, first = specificity, min_specificity, found
    else:  # in whole numbers, so that equal sums are equal
        reached, wanted = sensitivity, 0.0
        first = found * len(negatives) + spared * len(positives)
    if not (reached >= wanted).any():
        raise ValueError(
            f"no threshold reaches {wanted:g}, at most {reached.max():.3f}: probabilities are "
            "exactly 0 or 1"
        )
    best = np.lexsort((found, first, reached >= wanted))[-1]
    return float(thresholds[best]), float(sensitivity[best]), float(specificity[best])


def _fingerprint(split: Split) -> str:
    """Return a digest of the labels, and of the first and last image."""
    ends = split.images[[0, -1]].contiguous().numpy() if len(split) else np.empty(0)
    content = split.labels.contiguous().numpy().tobytes() + ends.tobytes()
    return hashlib.sha256(content).hexdigest()[:16]
