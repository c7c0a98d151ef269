"""From probabilities to predictions: labels, prediction sets, and whether there is an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import SupportsIndex

import numpy as np
from torch import Tensor

from medzoo.errors import as_number
from medzoo.evaluation.metrics import check_threshold
from medzoo.evaluation.metrics.selective import confidence_of
from medzoo.evaluation.operating_points import ConfidencePoint, OperatingPoint, ThresholdLike
from medzoo.inference import probabilities
from medzoo.inference.conformal import named_sets
from medzoo.inference.selective import check_risk
from medzoo.prediction.result import Prediction
from medzoo.spec import ConformalSpec, ModelSpec, SelectiveSpec


@dataclass(frozen=True)
class Decisions:
    """What is said about images, and when nothing is; see `medzoo.predict`.

    Attributes:
        spec: What the model is.
        top_k: Keep only so many classes; None for all.
        above: Probabilities above which is decided for a label (one, or one per label), or for the
            second class of a binary task; None to decide for the most probable class.
        least: Confidence below which no answer is given, if any.
        conformal: Thresholds of prediction sets, if the model has any that hold.
        risks: Bounds of the risk of an answer, if the model has any that hold.
        highest: Risk above which no answer is given, if any.
    """

    spec: ModelSpec
    top_k: int | None
    above: Sequence[float] | None
    least: float | None
    conformal: ConformalSpec | None
    risks: SelectiveSpec | None
    highest: float | None

    @classmethod
    def of(
        cls,
        spec: ModelSpec,
        conformal: ConformalSpec | None,
        risks: SelectiveSpec | None,
        *,
        top_k: int | None,
        threshold: ThresholdLike | None,
        min_confidence: float | ConfidencePoint | None,
        abstain_above: float | None,
    ) -> Decisions:
        """Check what a user asks for.

        Args:
            spec: What the model is.
            conformal: Thresholds of prediction sets, if the model has any that hold.
            risks: Bounds of the risk of an answer, if the model has any that hold.
            top_k: As for `medzoo.predict`.
            threshold: As for `medzoo.predict`.
            min_confidence: As for `medzoo.predict`.
            abstain_above: As for `medzoo.predict`.

        Raises:
            TypeError: If `min_confidence` or `abstain_above` is not a number.
            ValueError: If a value does not fit.
        """
        if top_k is not None and not (isinstance(top_k, SupportsIndex) and top_k >= 1):
            raise ValueError(
                f"top_k={top_k!r} must be a whole number of at least 1, or None for all classes"
            )
        if isinstance(min_confidence, ConfidencePoint):
            min_confidence = min_confidence.min_confidence
        if min_confidence is not None:
            expected = "a number from 0 to 1"
            min_confidence = as_number("min_confidence", min_confidence, expected)
            if not 0 <= min_confidence <= 1:
                raise ValueError(f"min_confidence={min_confidence!r} must be {expected}")
        if isinstance(threshold, OperatingPoint):
            threshold = threshold.threshold
        limits = check_threshold(threshold, spec.task, spec.num_classes).tolist()
        above = limits if spec.multi_label or threshold is not None else None
        if abstain_above is not None:
            check_risk(abstain_above, spec, risks)
        return cls(spec, top_k, above, min_confidence, conformal, risks, abstain_above)

    def predictions(
        self, logits: Tensor, ood_scores: Sequence[float | None], sources: Sequence[str | None]
    ) -> Iterator[Prediction]:
        """Yield what is said about each of some images.

        Args:
            logits: Calibrated, (N, K).
            ood_scores: How unfamiliar each image is, as far as the model knows.
            sources: The file of each image, if it is from one.

        Raises:
            ValueError: If a logit is NaN, or there are not as many as the spec has classes.
        """
        names = class_names(self.spec, logits.shape[1])
        shares = probabilities(logits, self.spec.task)
        sets = named_sets(self.conformal, shares, self.spec) if self.conformal else []
        rows = zip(shares.tolist(), ood_scores, sources, strict=True)
        for index, (row, ood_score, source) in enumerate(rows):
            one = replace(self._prediction(names, row, source), ood_score=ood_score)
            if self.conformal:
                coverage = self.conformal.coverage
                one = replace(one, prediction_set=sets[index], coverage=coverage)
            yield self._or_nothing(one, names, row)

    def _prediction(
        self, names: Sequence[str], values: Sequence[float], source: str | None
    ) -> Prediction:
        ranked = sorted(zip(names, values, strict=True), key=lambda pair: -pair[1])
        if self.above is not None and self.spec.multi_label:
            limits = dict(zip(names, np.broadcast_to(self.above, len(names)), strict=True))
            labels = tuple(name for name, value in ranked if value > limits[name])
        else:
            if self.above is not None:  # the class that is decided for comes first
                decided = names[values[1] > self.above[0]]
                ranked.sort(key=lambda pair: pair[0] != decided)
            labels = (ranked[0][0],)
        return Prediction(dict(ranked[: self.top_k]), labels, source)

    def _or_nothing(
        self, one: Prediction, names: Sequence[str], values: Sequence[float]
    ) -> Prediction:
        """Add the risk of an answer; take the answer back if the model is not sure enough."""
        if self.least is None and self.risks is None:
            return one
        confidence = self._confidence(names, values, one.labels)
        risk = self.risks.risk(confidence) if self.risks else None
        is_unsure = self.least is not None and confidence < self.least
        is_risky = self.highest is not None and risk is not None and risk > self.highest
        if is_unsure or is_risky:
            one = replace(one, labels=(), abstained=True)
        return replace(one, risk=risk)

    def _confidence(
        self, names: Sequence[str], values: Sequence[float], labels: Sequence[str]
    ) -> float:
        """Return how sure the model is of its answer, as `choose_confidence` defines it."""
        decided = np.array([[name in labels for name in names]])
        rows = np.array([values])
        return float(confidence_of(rows, decided, multi_label=self.spec.multi_label)[0])


def class_names(spec: ModelSpec, count: int) -> list[str]:
    """Return the names of the classes that logits stand for.

    Args:
        spec: What the model is.
        count: The number of logits that it gives.

    Raises:
        ValueError: If it has another number of classes.
    """
    if spec.num_classes != count:
        raise ValueError(
            f"the model gives {count} logits, but its spec has {spec.num_classes} classes, "
            f"{spec.class_names!r}; correct model.spec or give spec="
        )
    return list(spec.class_names)


def check_classifier(spec: ModelSpec) -> None:
    """Make sure that a model gives logits of classes, not features.

    Args:
        spec: What the model is.

    Raises:
        ValueError: If it has no classes.
    """
    if not spec.num_classes:
        raise ValueError("the model has no classifier; make it with create_model(..., dataset=...)")
