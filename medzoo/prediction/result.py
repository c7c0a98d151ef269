"""What a model says about images, and which images could not be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from medzoo.escape import for_display
from medzoo.html import Section, Table, card
from medzoo.spec.conformal import set_title

_SHOWN = 20  # predictions in a notebook; the others are counted

UNFAMILIAR = (
    "unlike the images that the model was trained on (score {:.2f}, expected at most 1): do not "
    "rely on this answer"
)
"""What is said about an image of another kind, with its score."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about one image.

    Attributes:
        probabilities: Name of the class -> probability, the most probable first (for binary tasks
            with a threshold, the one that is decided for); only the first `top_k` when asked so.
        labels: What the model decides for: the most probable class, or, for multi-label tasks,
            every label above the threshold, the most probable first (possibly none).
        source: The file, if the image is from one.
        abstained: Whether the model gives no answer, because it is less confident than
            ``min_confidence``, or its `risk` is above ``abstain_above``; `labels` is then empty.
        prediction_set: The classes among which the truth is with the probability `coverage` (for
            multi-label tasks on average this share of the labels), the most probable first; None
            if the model has no thresholds for them (see `medzoo.calibrate`), or was run with
            another temperature or several views, for which they do not hold.
        coverage: What the set was calibrated for, in (0, 1); None without a set.
        ood_score: How far the image is from those that the model was trained on, from 0; above 1,
            it is farther away than 95 % of the validation images. None if the model has no
            `ood_detector`.
        risk: Share of wrong answers, at most, among this one and those that are about as confident
            or more, in [0, 1]; see `medzoo.SelectiveSpec.risk`. Not the probability that this
            answer is wrong. None if the model does not know it (`medzoo.calibrate` computes it),
            or was run with another threshold or temperature or several views.
    """

    probabilities: dict[str, float]
    labels: tuple[str, ...]
    source: str | None = None
    abstained: bool = False
    prediction_set: tuple[str, ...] | None = None
    coverage: float | None = None
    ood_score: float | None = None
    risk: float | None = None

    @property
    def unfamiliar(self) -> bool | None:
        """Whether the image is probably of another kind than those that the model was trained on.

        Its probabilities then mean nothing. None if the model cannot say so.
        """
        return None if self.ood_score is None else self.ood_score > 1

    @property
    def label(self) -> str:
        """The first of `probabilities` (for multi-label tasks even if below the threshold)."""
        return next(iter(self.probabilities))

    @property
    def probability(self) -> float:
        """Probability of `label`."""
        return self.probabilities[self.label]

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain JSON values; without a source if the image is from no file."""
        values: dict[str, Any] = {
            "probabilities": self.probabilities,
            "labels": list(self.labels),
        }
        if self.abstained:
            values["abstained"] = True
        if self.prediction_set is not None:
            values |= {"prediction_set": list(self.prediction_set), "coverage": self.coverage}
        if self.risk is not None:
            values["risk"] = self.risk
        if self.ood_score is not None:
            values |= {"unfamiliar": self.unfamiliar, "ood_score": self.ood_score}
        return values if self.source is None else {"source": self.source, **values}

    def _repr_html_(self) -> str:
        """What notebooks show: the probability of each class, and what is decided for."""
        rows = [(name, f"{p:.3f}") for name, p in self.probabilities.items()]
        return card(
            self.source or "Prediction",
            [Section("Probabilities", [self._decision], [Table(("class", "probability"), rows)])],
        )

    @property
    def _decision(self) -> str:
        """The labels in words."""
        if self.abstained:
            return "no answer: not sure enough"
        return ", ".join(self.labels) or "no label"

    def __str__(self) -> str:
        """One line per class, e.g. ``melanoma  0.912``; then the set, and what to beware of."""
        names = list(map(for_display, self.probabilities))
        rows = zip(names, self.probabilities.values(), strict=True)
        width = max(map(len, names))
        lines = [f"{name:<{width}}  {p:.3f}" for name, p in rows]
        if self.prediction_set is not None and self.coverage is not None:
            members = "; ".join(map(for_display, self.prediction_set)) or "(none)"
            lines.append(f"{set_title(self.coverage)}: {members}")
        if self.abstained:
            lines.append("no answer: not as sure as asked for")
        if self.unfamiliar and self.ood_score is not None:
            lines.append(f"warning: {UNFAMILIAR.format(self.ood_score)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Failure:
    """An image file that was skipped.

    Attributes:
        source: The file.
        error: Why it could not be read.
        index: Its place among all images, from 0.
    """

    source: str
    error: str
    index: int

    def to_dict(self) -> dict[str, Any]:
        """Source and error as plain JSON values."""
        return {"source": self.source, "error": self.error}

    def __str__(self) -> str:
        """The error, as one that was not raised."""
        return f"error: {for_display(self.error)}"


class Predictions(list[Prediction]):
    """The predictions of several images, in their order: a list that also holds the failures.

    Args:
        predictions: Of the images that could be read.
        failures: The others, in their order.

    Attributes:
        failures: The files that could not be read and were skipped.
    """

    def __init__(
        self, predictions: Iterable[Prediction] = (), failures: Iterable[Failure] = ()
    ) -> None:
        super().__init__(predictions)
        self.failures = tuple(failures)

    def _repr_html_(self) -> str:
        """What notebooks show: source, decision and highest probability of the first ones."""
        rows = []
        for number, found in enumerate(self.outcomes()[:_SHOWN]):
            if isinstance(found, Failure):
                rows.append((found.source, str(found), ""))
            else:
                source = found.source or f"image {number}"
                rows.append((source, found._decision, f"{found.label} {found.probability:.3f}"))
        table = Table(("image", "decided", "most probable"), rows, text_columns=2)
        total = len(self) + len(self.failures)
        more = [f"... and {total - _SHOWN:,} more"] if total > _SHOWN else []
        return card(f"{total:,} images", [Section("Predictions", tables=[table], remarks=more)])

    def outcomes(self) -> list[Prediction | Failure]:
        """Predictions and failures together, one for each image, in the order of the images."""
        together: list[Prediction | Failure] = list(self)
        for failure in self.failures:
            together.insert(failure.index, failure)
        return together
