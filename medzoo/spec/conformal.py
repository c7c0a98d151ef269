"""The thresholds by which a model gives sets of classes that hold the truth as often as asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from medzoo.errors import unknown_name
from medzoo.spec.checks import MAX_CLASSES, as_tuple, check_whole, exactly, is_finite

ConformalMethod = Literal["lac", "aps"]
"""How a set is made of probabilities; see `ConformalSpec`."""
COVERAGE = 0.9
"""The coverage that is used if none is asked for."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ConformalSpec:
    """How prediction sets are made of a model's calibrated probabilities.

    With the probability `coverage`, the set of a new image contains its class, if the image is of
    the same kind as those that the thresholds were fitted to; for multi-label tasks, it contains
    on average this share of an image's labels. `medzoo.calibrate` fits them.

    Attributes:
        method: ``"lac"``: classes whose probability is at least the threshold; ``"aps"``: classes
            before which, by falling probability, the sum of probabilities is at most the threshold.
            The most probable class of a single-label task is always in the set.
        coverage: The probability that was asked for, in (0, 1).
        thresholds: One in [0, 1], or one per class (class-conditional).
        images: Number of images that they were fitted to.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a value does not fit.

    Example:
        >>> ConformalSpec("lac", coverage=0.9, thresholds=(0.12,), images=500).title
        '90 % set'
    """

    method: ConformalMethod
    coverage: float
    thresholds: tuple[float, ...]
    images: int

    def __post_init__(self) -> None:
        if self.method not in get_args(ConformalMethod):
            raise unknown_name("method", self.method, get_args(ConformalMethod))
        object.__setattr__(self, "coverage", check_coverage(self.coverage))
        values = as_tuple("thresholds", self.thresholds)
        if not 1 <= len(values) <= MAX_CLASSES:
            raise ValueError(f"{len(values):,} thresholds; expected one, or one per class")
        for value in values:
            if not is_finite(value):
                raise TypeError(f"thresholds has {value!r:.80}; expected finite numbers")
            if not 0 <= value <= 1 + _ROUNDING:  # a sum of probabilities may exceed 1 by rounding
                raise ValueError(f"thresholds has {value!r:.80}; expected numbers from 0 to 1")
        object.__setattr__(self, "thresholds", tuple(map(float, values)))
        check_whole("images", self.images, 1)

    @property
    def title(self) -> str:
        """What a set is called where it is shown, e.g. ``"90 % set"``."""
        return set_title(self.coverage)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {
            "method": self.method,
            "coverage": self.coverage,
            "thresholds": list(self.thresholds),
            "images": self.images,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConformalSpec:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Raises:
            TypeError: If a value has the wrong type.
            ValueError: If a value is missing, unknown, or does not fit.
        """
        return cls(**exactly(cls, values))


def set_title(coverage: float) -> str:
    """Return what a prediction set is called where it is shown, e.g. ``"90 % set"``.

    Args:
        coverage: What it was calibrated for.
    """
    return f"{100 * coverage:g} % set"


def check_coverage(value: Any) -> float:
    """Return a coverage as a float, after checking it.

    Args:
        value: The coverage.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not between 0 and 1.
    """
    if not is_finite(value) and not isinstance(value, float):
        raise TypeError(f"coverage={value!r:.80} must be a number between 0 and 1, e.g. 0.9")
    if not 0 < value < 1:
        raise ValueError(f"coverage={value!r:.80} must be between 0 and 1, e.g. 0.9")
    return float(value)
