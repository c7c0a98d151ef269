"""Labelled probabilities and heat maps for images, from files or from memory."""

from medzoo.prediction.explain import Explanation, explain
from medzoo.prediction.predict import iter_predictions, predict
from medzoo.prediction.result import Failure, Prediction, Predictions

__all__ = [
    "Explanation",
    "Failure",
    "Prediction",
    "Predictions",
    "explain",
    "iter_predictions",
    "predict",
]
