"""Choosing the confidence below which a model gives no answer, with a guarantee for its errors."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.datasets import Split
from medzoo.deployment import load_model
from medzoo.errors import as_number
from medzoo.escape import for_display
from medzoo.evaluation.metrics import Floats, check_threshold, score_predictions
from medzoo.evaluation.metrics.selective import confidence_and_loss, confidence_of
from medzoo.evaluation.operating_points.threshold import ThresholdLike, threshold_for
from medzoo.inference import Model, SplitOptions, probabilities, split_logits
from medzoo.inference.options import check_options

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class ConfidencePoint:
    """The confidence from which a model answers, and what that means where it was chosen.

    Attributes:
        min_confidence: The least confidence of an answer, in [0, 1]: the probability of the
            decided class; for multi-label tasks the mean over labels of that of each decision.
        max_risk: The largest share of wrong answers that was allowed.
        confidence_level: Probability with which the risk on other images of the same kind is at
            most `max_risk`.
        coverage: Share of the images that it answers, in (0, 1].
        risk: Share of wrong answers among them.
        bound: Upper bound of the risk at the confidence level, at most `max_risk`.
        title: Data set that it was chosen on.
        split: Split that it was chosen on.
        n: Number of images that it was chosen on.
    """

    min_confidence: float
    max_risk: float
    confidence_level: float
    coverage: float
    risk: float
    bound: float
    title: str
    split: str
    n: int

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON-safe values."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"answers from a confidence of {self.min_confidence:.3g}: {self.coverage:.1%} of the "
            f"{self.n:,} images of {for_display(self.title)}, {self.split} split, of which "
            f"{self.risk:.1%} wrong (at most {self.bound:.1%}, {self.confidence_level:.0%} sure)"
        )


def choose_confidence(
    model: Model | str | os.PathLike[str],
    split: Split,
    *,
    max_risk: float,
    confidence_level: float = 0.95,
    threshold: ThresholdLike | None = None,
    **options: Unpack[SplitOptions],
) -> ConfidencePoint:
    """Choose from which confidence on a model may answer, so that few of its answers are wrong.

    The share of wrong answers on new images is at most `max_risk` with the probability
    `confidence_level`, if the new images are of the same kind as those of the split (selection with
    guaranteed risk, Geifman and El-Yaniv, *Selective Classification for Deep Neural Networks*,
    NeurIPS 2017). Images of another hospital or camera are not.

    Args:
        model: As for `medzoo.evaluate`.
        split: Labelled images that the model was not trained on and that will not measure it
            either: ``data.val``. The smaller it is, the fewer images can be answered.
        max_risk: The largest share of wrong answers, in (0, 1); for multi-label tasks of wrong
            decisions about labels.
        confidence_level: Probability of the guarantee, in (0, 1).
        threshold: As for `medzoo.evaluate`; one that was chosen on this split is refused.
        **options: As for `medzoo.evaluate`. The same temperature and views have to be used with
            the result afterwards.

    Returns:
        What ``predict(..., min_confidence=)`` takes, with the coverage on the split.

    Raises:
        TypeError: If `split` is not a `Split`, a number is of another type, or the model does not
            say what it is.
        ValueError: If a number is out of range, the split is empty or does not fit, or no
            confidence keeps the risk below `max_risk`.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("breastmnist", n_val=200)
        >>> model = medzoo.create_model("simple_cnn", dataset=data)
        >>> point = medzoo.choose_confidence(model, data.val, max_risk=0.9)
        >>> point.bound <= 0.9
        True
    """
    check_options(choose_confidence, options)
    for name, value in (("max_risk", max_risk), ("confidence_level", confidence_level)):
        if not 0 < as_number(name, value, "a number between 0 and 1") < 1:
            raise ValueError(f"{name}={value!r} must be a number between 0 and 1")
    above = threshold_for(threshold, split)
    logits = split_logits(load_model(model), split, **options)
    info = split.info
    scores = probabilities(logits, info.task)
    confidence, loss = answers_of(split, scores.numpy(), above)
    cut = _guaranteed(confidence, loss, max_risk, 1 - confidence_level, whole=not info.multi_label)
    if cut is None:
        raise ValueError(
            f"no confidence keeps the risk on the {split.name} split of {split.title} "
            f"({len(split):,} images) surely below {max_risk:g}; allow a larger max_risk, a lower "
            "confidence_level, or give more images"
        )
    least, bound = cut
    answered = confidence >= least
    return ConfidencePoint(
        min_confidence=least,
        max_risk=float(max_risk),
        confidence_level=float(confidence_level),
        coverage=float(answered.mean()),
        risk=float(loss[answered].mean()),
        bound=bound,
        title=split.title,
        split=split.name,
        n=len(split),
    )


def answers_of(
    split: Split, probabilities: Floats, above: float | list[float] | None
) -> tuple[Floats, Floats]:
    """Return how confident a model is of its answers, as in `predict`, and how wrong they are.

    Args:
        split: The split, which has the labels. Images without any known label are left out.
        probabilities: Of each class, (N, K).
        above: The threshold of the decisions.

    Returns:
        Confidences, and losses in [0, 1]: the share of wrong decisions about known labels; each
        (M,).
    """
    data = score_predictions(split.labels, probabilities, split.info.task, above)
    _, loss, known = confidence_and_loss(data)
    decided = data.decided
    if data.multi_label:  # also about labels that nobody knows, as about those of a new image
        decided = data.scores > check_threshold(above, data.task, data.scores.shape[1])
    confidence = confidence_of(data.scores, decided, multi_label=data.multi_label)
    return confidence[known], loss[known]


def risk_bound(lost: float, answered: int, error: float, *, whole: bool = True) -> float:
    """Return an upper bound of the risk, which is too low with a probability of at most `error`.

    Args:
        lost: Sum of the losses of the answers.
        answered: Number of answers, at least 1.
        error: Probability that the risk exceeds the bound.
        whole: Whether each loss is 0 or 1 (Clopper and Pearson's bound), or lies between them
            (Bentkus's, which is that of whole ones at `error` / e).
    """
    from scipy.stats import beta

    errors = math.ceil(lost - 1e-9)
    if errors >= answered:
        return 1.0
    level = error if whole else error / math.e
    return float(beta.ppf(1 - level, errors + 1, answered - errors))


def _guaranteed(
    confidence: Floats, loss: Floats, max_risk: float, error: float, *, whole: bool
) -> tuple[float, float] | None:
    """Return the least confidence and the bound with most answers, of a search by halves.

    Each step of the search is a test of its own, so each gets its share of the error.
    """
    if not len(confidence):
        return None
    cuts = np.unique(confidence)[::-1]
    order = np.argsort(-confidence, kind="stable")
    sums = np.cumsum(loss[order])
    ends = np.searchsorted(-confidence[order], -cuts, side="right")
    steps = max(1, math.ceil(math.log2(len(cuts) + 1)))
    low, high, found = 0, len(cuts) - 1, None
    while low <= high:
        middle = (low + high) // 2
        answered = int(ends[middle])
        bound = risk_bound(float(sums[answered - 1]), answered, error / steps, whole=whole)
        if bound <= max_risk:
            found, low = (float(cuts[middle]), bound), middle + 1
        else:
            high = middle - 1
    return found
