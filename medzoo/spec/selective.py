"""How often a model is wrong if it answers only where it is confident: bounds that it carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from medzoo.spec.checks import as_tuple, check_whole, exactly, is_finite

_MOST = 1000  # confidences


@dataclass(frozen=True)
class SelectiveSpec:
    """Upper bounds of a model's risk, the share of wrong answers among those that it gives.

    With the probability `confidence_level`, all bounds hold at once for images of the same kind as
    those that they were computed from, so that a risk may be chosen afterwards.
    `medzoo.calibrate` computes them.

    Attributes:
        confidences: Confidences above which the model answers, rising, in [0, 1); the first is 0,
            which means that it answers always. The confidence is the probability of the class
            that is decided for; for multi-label tasks the mean over labels of that of each
            decision.
        bounds: Upper bound of the risk above each of them, in [0, 1].
        confidence_level: Probability that all bounds hold, in (0, 1).
        images: Number of images that they were computed from.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a value does not fit.

    Example:
        >>> bounds = SelectiveSpec((0.0, 0.8), (0.2, 0.05), confidence_level=0.95, images=500)
        >>> bounds.risk(0.9), bounds.risk(0.7)
        (0.05, 0.2)
    """

    confidences: tuple[float, ...]
    bounds: tuple[float, ...]
    confidence_level: float
    images: int

    def __post_init__(self) -> None:
        for name in ("confidences", "bounds"):
            values = as_tuple(name, getattr(self, name))
            if not 1 <= len(values) <= _MOST:
                raise ValueError(f"{name} has {len(values):,} numbers; expected 1 to {_MOST:,}")
            for value in (*values, self.confidence_level):
                if not is_finite(value):
                    raise TypeError(f"{name} has {value!r:.80}; expected finite numbers")
            if not all(0 <= value <= 1 for value in values):
                raise ValueError(f"{name}={values!r:.80} must be numbers from 0 to 1")
            object.__setattr__(self, name, tuple(map(float, values)))
        if len(self.confidences) != len(self.bounds):
            raise ValueError(
                f"{len(self.confidences)} confidences and {len(self.bounds)} bounds; expected one "
                "bound for each"
            )
        if self.confidences[0] or any(one >= other for one, other in pairwise(self.confidences)):
            raise ValueError(f"confidences={self.confidences!r:.80} must start at 0 and rise")
        if not 0 < self.confidence_level < 1:
            raise ValueError(f"confidence_level={self.confidence_level!r} must be in (0, 1)")
        check_whole("images", self.images, 1)

    def risk(self, confidence: float) -> float:
        """Return the risk of an answer: the lowest bound of all confidences below its own.

        So many answers are wrong, at most, among those above one of these confidences, to which it
        belongs. It is not the probability that this one answer is wrong.

        Args:
            confidence: The confidence of the answer, in [0, 1].
        """
        pairs = zip(self.confidences, self.bounds, strict=True)
        return min((bound for above, bound in pairs if confidence > above), default=1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {
            "confidences": list(self.confidences),
            "bounds": list(self.bounds),
            "confidence_level": self.confidence_level,
            "images": self.images,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SelectiveSpec:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Raises:
            TypeError: If a value has the wrong type.
            ValueError: If a value is missing, unknown, or does not fit.
        """
        return cls(**exactly(cls, values))
