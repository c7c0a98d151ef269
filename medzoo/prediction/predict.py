"""Labelled probabilities for images, from files or from memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from itertools import chain
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    SupportsFloat,
    SupportsIndex,
    get_args,
    overload,
)

import numpy as np
from PIL import Image
from torch import Tensor

from medzoo.errors import unknown_name
from medzoo.evaluation.metrics import THRESHOLD
from medzoo.inference import InferenceOptions, Model, probabilities
from medzoo.inference.options import Settings
from medzoo.inference.run import run_batches
from medzoo.prediction.loading import BatchReader
from medzoo.prediction.result import Prediction, Predictions
from medzoo.prediction.sources import ImageSource, find_sources
from medzoo.spec import ModelSpec, spec_of
from medzoo.transforms import create_transform

if TYPE_CHECKING:
    from typing_extensions import Unpack

OnError = Literal["raise", "skip"]

_BATCH = 64


class PredictOptions(InferenceOptions, total=False):
    """How images are predicted; the options of `medzoo.inference.InferenceOptions` and three more.

    Attributes:
        top_k: Keep only the most probable classes; all when not given.
        threshold: Probability above which a label of a multi-label task is decided for, in
            (0, 1); 0.5 when not given.
        on_error: What to do about a file that cannot be read: ``"raise"``, or ``"skip"`` it and
            warn once at the end. By default what is found in a folder or by a pattern is skipped,
            and what was named is not.
    """

    top_k: int | None
    threshold: float | None
    on_error: OnError | None


@overload
def predict(model: Model, images: Image.Image, **options: Unpack[PredictOptions]) -> Prediction: ...
@overload
def predict(  # type: ignore[overload-overlap]  # a string is a sequence of strings, but one path
    # `Any`, so that those who give a file need not rule out what a folder would give.
    model: Model,
    images: str | os.PathLike[str],
    **options: Unpack[PredictOptions],
) -> Prediction | Any: ...
@overload
def predict(
    model: Model, images: Sequence[ImageSource], **options: Unpack[PredictOptions]
) -> Predictions: ...
@overload
def predict(
    model: Model, images: np.ndarray | Tensor, **options: Unpack[PredictOptions]
) -> Prediction | Predictions: ...
def predict(
    model: Model,
    images: ImageSource | Sequence[ImageSource],
    *,
    top_k: int | None = None,
    threshold: float | None = None,
    on_error: OnError | None = None,
    **options: Unpack[InferenceOptions],
) -> Prediction | Predictions:
    """Name what a model sees in one image or in several.

    Images are prepared by the model's own transform, whatever their size and channels. Logits are
    divided by the model's temperature, if it has one (see `medzoo.fit_temperature`). Files are
    read batch by batch, so that any number of them fits into memory, with a progress bar if it
    takes longer.

    Args:
        model: A medzoo or timm model, also in a wrapper such as `DataParallel`; or any callable
            with ``spec=``. Class names are those of its spec; without a task it is taken as
            single-label, and classes without names are called ``"0"``, ``"1"``, ...
        images: A file (see `medzoo.images.file.read_image`), a PIL image, an array or a
            tensor; a folder, whose images are found at any depth, sorted by path, without hidden
            ones; a pattern, such as ``"scans/*.png"`` or ``"scans/**/*.dcm"``; a sequence of
            these; or an array or tensor of four dimensions (images first).
        top_k: Keep only the most probable classes; all when not given.
        threshold: Probability above which a label of a multi-label task is decided for, in
            (0, 1); 0.5 when not given.
        on_error: What to do about a file that cannot be read: ``"raise"``, or ``"skip"`` it and
            warn once at the end. By default what is found in a folder or by a pattern is skipped,
            and what was named is not.
        **options: ``batch_size`` (64 by default), ``device``, ``precision``, ``tta``,
            ``temperature``, ``spec``; see `medzoo.inference.InferenceOptions`.

    Returns:
        One prediction for one image; a list for several, whose attribute ``failures``
        lists the files that were skipped, and why.

    Raises:
        TypeError: If the model does not say what it is and no ``spec=`` is given, or an option
            does not exist.
        FileNotFoundError: If a file does not exist, or a folder or pattern gives none.
        DatasetError: If a file is not a readable image; the message names it.
        ValueError: If an image in memory has the wrong shape, or the model gives NaN; the message
            names it. If the model has no classifier, `threshold` is given for a single-label
            model, an option does not fit, or ``tta`` mirrors images whose classes distinguish
            left from right.
    """
    settings = Settings.of(options, InferenceOptions, batch_size=_BATCH)
    spec = spec_of(model, settings.spec)
    check_classifier(spec)
    _check(spec, top_k, threshold, on_error)
    sources = find_sources(images)
    if not len(sources.images):
        return Predictions()
    skips = sources.searched if on_error is None else on_error == "skip"
    reading = BatchReader(sources.images, create_transform(spec), int(settings.batch_size), skips)
    batches = reading.batches()
    predictions = Predictions()
    if (first := next(batches, None)) is not None:
        logits = run_batches(model, chain([first], batches), spec, settings)
        names = class_names(spec, logits.shape[1])
        above = (THRESHOLD if threshold is None else threshold) if spec.multi_label else None
        rows = probabilities(logits, spec.task).tolist()
        for row, source in zip(rows, reading.sources, strict=True):
            predictions.append(_prediction(names, row, above, top_k, source))
    if reading.failures:
        predictions.failures = tuple(reading.failures)
        first_error = reading.failures[0].error
        warnings.warn(
            f"{len(reading.failures)} of {len(sources.images)} images were skipped, see .failures; "
            f"the first: {first_error}",
            stacklevel=2,
        )
    return predictions[0] if sources.single and predictions else predictions


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


def _check(
    spec: ModelSpec, top_k: int | None, threshold: float | None, on_error: OnError | None
) -> None:
    if top_k is not None and not (isinstance(top_k, SupportsIndex) and top_k >= 1):
        raise ValueError(
            f"top_k={top_k!r} must be a whole number of at least 1, or None for all classes"
        )
    if threshold is not None and not (isinstance(threshold, SupportsFloat) and 0 < threshold < 1):
        raise ValueError(f"threshold={threshold!r} must be a number between 0 and 1")
    if on_error is not None and on_error not in get_args(OnError):
        raise unknown_name("on_error", on_error, get_args(OnError))
    if threshold is not None and not spec.multi_label:
        raise ValueError(
            f"threshold={threshold!r} is for multi-label tasks; this model decides for the most "
            "probable class"
        )


def _prediction(
    names: Sequence[str],
    values: Sequence[float],
    threshold: float | None,
    top_k: int | None,
    source: str | None,
) -> Prediction:
    ranked = sorted(zip(names, values, strict=True), key=lambda pair: -pair[1])
    if threshold is None:  # one class has to be it
        labels: tuple[str, ...] = (ranked[0][0],)
    else:
        labels = tuple(name for name, value in ranked if value > threshold)
    return Prediction(dict(ranked[:top_k]), labels, source)
