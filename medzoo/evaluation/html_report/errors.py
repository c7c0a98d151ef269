"""The errors that a model makes with the most confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import Tensor, from_numpy

from medzoo.datasets import Split
from medzoo.evaluation.figures.report import predictions_of
from medzoo.evaluation.metrics import ScoredPredictions
from medzoo.html import Figure, Section, Table, picture_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from medzoo.evaluation.report import Report

_SHOWN = 12


class Overlay(Protocol):
    """A heat map, as `medzoo.Explanation` is one."""

    @property
    def overlay(self) -> Image:
        """The image under the heat."""


class Explainer(Protocol):
    """Draws a heat map of an image for a class, as ``functools.partial(medzoo.explain, model)``."""

    def __call__(self, image: Tensor, target: str, /) -> Overlay:
        """Return the heat map.

        Args:
            image: uint8 (C, H, W).
            target: Name of the class.
        """


@dataclass(frozen=True)
class ConfidentError:
    """A wrong decision about an image.

    Attributes:
        position: The image's position in the split.
        label: The class that was decided for; for multi-label tasks, the label that is wrong.
        truth: What would have been right.
        decision: What the model said instead.
        confidence: The probability of its decision.
    """

    position: int
    label: str
    truth: str
    decision: str
    confidence: float


def confident_errors(
    data: ScoredPredictions, classes: list[str], count: int = _SHOWN
) -> list[ConfidentError]:
    """Return the wrong decisions with the highest probabilities, the highest first.

    Args:
        data: The truth and the predictions.
        classes: Names of the classes.
        count: How many at most. Of multi-label tasks, each wrong label is an error.
    """
    confidence, right, _ = data.decisions()
    wrong = ~right & data.counted
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-confidence[rows, columns], kind="stable")[:count]
    found = []
    for row, column in zip(rows[order], columns[order], strict=True):
        if data.multi_label:
            label, is_true = classes[column], data.truth[row, column]
            truth, decision = (f"{label}: {'yes' if yes else 'no'}" for yes in (is_true, ~is_true))
        else:
            truth = classes[data.truth[row].argmax()]
            label = decision = classes[data.decided[row].argmax()]
        found.append(
            ConfidentError(int(row), label, truth, decision, float(confidence[row, column]))
        )
    return found


def error_section(
    report: Report, images: Split | None, explain: Explainer | None
) -> Section | None:
    """Show the most confident errors, with their images; None if the report has no predictions.

    Args:
        report: The report.
        images: The images that were scored.
        explain: Draws heat maps of them.

    Raises:
        TypeError: If `images` is not a split.
        ValueError: If they are not those that were scored, or an argument needs another.
    """
    if explain is not None and images is None:
        raise ValueError("explain= needs images=, the split that was evaluated")
    if images is not None:
        _check_scored(images, predictions_of(report), report.split)
    if report.predictions is None:
        return None
    errors = confident_errors(report.predictions, [row["name"] for row in report.per_class])
    title = "Most confident errors"
    if not errors:
        return Section(title, ["There is no error."])
    text = [f"The {len(errors)} wrong decisions of which the model is most certain."]
    if images is None:
        header = ("position in the split", "true", "decided", "probability")
        rows = [(f"{e.position:,}", e.truth, e.decision, f"{e.confidence:.3f}") for e in errors]
        return Section(title, text, [Table(header, rows, text_columns=3)])
    pictures = images.take(from_numpy(np.array([error.position for error in errors])))
    if explain is not None:
        text.append(
            "Beside each image: what speaks for the decision in this network (a heat map), not "
            "where disease is."
        )
    figures = [
        _shown(error, image, explain, f"data.{report.split}[{error.position}]")
        for error, image in zip(errors, pictures, strict=True)
    ]
    return Section(title, text, figures=figures)


def _shown(error: ConfidentError, image: Tensor, explain: Explainer | None, where: str) -> Figure:
    parts = [picture_of(image, f"{where}, true: {error.truth}")]
    if explain is not None:
        overlay = explain(image, error.label).overlay
        parts.append(picture_of(overlay, f"The same image under its heat map for {error.label}"))
    caption = [f"true: {error.truth}", f"decided: {error.decision} ({error.confidence:.1%})", where]
    return Figure(parts, caption, small=True)


def _check_scored(images: Split, data: ScoredPredictions, split: str) -> None:
    """Make sure that images are of the split, and have the labels, that were scored."""
    if not isinstance(images, Split):
        raise TypeError(
            f"images is a {type(images).__name__}; give the split that was evaluated, e.g. "
            "data.test"
        )
    truth = data.truth if data.multi_label else data.truth.argmax(axis=1)
    labels = images.labels.numpy() == 1 if data.multi_label else images.labels.numpy()
    if images.name != split or not np.array_equal(truth, labels):
        raise ValueError(
            f"images are the {len(images):,} of the {images.name} split of {images.title}, which "
            f"are not those that were scored; give the {split} split that was evaluated"
        )
