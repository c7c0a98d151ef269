"""Choosing when a model decides: thresholds of probability and of confidence."""

from medzoo.evaluation.operating_points.confidence import ConfidencePoint, choose_confidence
from medzoo.evaluation.operating_points.threshold import (
    OperatingPoint,
    ThresholdLike,
    choose_threshold,
)

__all__ = [
    "ConfidencePoint",
    "OperatingPoint",
    "ThresholdLike",
    "choose_confidence",
    "choose_threshold",
]
