"""Choosing when a model decides: thresholds of probability and of confidence."""

from medzoo.evaluation.operating_points.threshold import (
    OperatingPoint,
    ThresholdLike,
    choose_threshold,
)

__all__ = [
    "OperatingPoint",
    "ThresholdLike",
    "choose_threshold",
]
