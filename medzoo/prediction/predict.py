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
    TypedDict,
    get_args,
    overload,
)

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from medzoo.datasets import Task
from medzoo.device import Precision, resolve_device
from medzoo.errors import unknown_name
from medzoo.evaluation.metrics import THRESHOLD, is_multi_label
from medzoo.inference.model import Model
from medzoo.inference.run import forward, probabilities
from medzoo.inference.tta import TTA, with_tta
from medzoo.models import dataset_of
from medzoo.prediction.loading import BatchReader
from medzoo.prediction.result import Prediction, Predictions
from medzoo.prediction.sources import ImageLike, find_sources
from medzoo.transforms import create_transform
from medzoo.weights.temperature import temperature_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

OnError = Literal["raise", "skip"]


class _Options(TypedDict, total=False):
    top_k: int | None
    threshold: float | None
    on_error: OnError | None
    batch_size: int
    device: str | torch.device
    precision: Precision
    tta: TTA


@overload
def predict(model: Model, images: Image.Image, **options: Unpack[_Options]) -> Prediction: ...
@overload
def predict(  # type: ignore[overload-overlap]  # a string is a sequence of strings, but one path
    # `Any`, so that those who give a file need not rule out what a folder would give.
    model: Model,
    images: str | os.PathLike[str],
    **options: Unpack[_Options],
) -> Prediction | Any: ...
@overload
def predict(
    model: Model, images: Sequence[ImageLike], **options: Unpack[_Options]
) -> Predictions: ...
@overload
def predict(
    model: Model, images: np.ndarray | Tensor, **options: Unpack[_Options]
) -> Prediction | Predictions: ...
def predict(
    model: Model,
    images: ImageLike | Sequence[ImageLike],
    *,
    top_k: int | None = None,
    threshold: float | None = None,
    on_error: OnError | None = None,
    batch_size: int = 64,
    device: str | torch.device = "auto",
    precision: Precision = "float32",
    tta: TTA = "none",
) -> Prediction | Predictions:
    """Name what a model sees in one image or in several.

    Images are prepared by the model's own transform, whatever their size and channels. Logits are
    divided by the model's temperature, if it has one (see `medzoo.fit_temperature`). Files are
    read batch by batch, so that any number of them fits into memory, with a progress bar if it
    takes longer.

    Args:
        model: A medzoo or timm model. Class names are those of ``model.dataset``; a model made
            for none is taken as single-label, its classes called ``"0"``, ``"1"``, ...
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
        batch_size: Images prepared and run at once.
        device: ``"auto"``, a PyTorch device string, or a `torch.device`.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``.
        tta: Test-time augmentation, the views of each image whose probabilities are averaged:
            ``"none"``, ``"flip"`` (2) or ``"dihedral"`` (8); see `medzoo.evaluate`.

    Returns:
        One prediction for one image; a list for several, whose attribute ``failures`` tells
        which files were skipped, and why.

    Raises:
        FileNotFoundError: If a file does not exist, or a folder or pattern gives none.
        DatasetError: If a file is not a readable image; the message names it.
        ValueError: If an image in memory has the wrong shape, or the model gives NaN; the message
            names it. If `threshold` is given for a single-label model. If `tta` is unknown, or
            mirrors images whose classes tell left from right.
    """
    _check(model, top_k, threshold, on_error, batch_size)
    sources = find_sources(images)
    if not len(sources.images):
        return Predictions()
    info = dataset_of(model)
    task: Task = "multi-class" if info is None else info.task
    if threshold is not None and not is_multi_label(task):
        raise ValueError(
            f"threshold={threshold!r} is for multi-label tasks; this model decides for the most "
            "probable class"
        )
    temperature = temperature_of(model)
    viewed = with_tta(model, tta, info, temperature)
    skips = sources.searched if on_error is None else on_error == "skip"
    reading = BatchReader(sources.images, create_transform(model), batch_size, skips)
    batches = reading.batches()
    predictions = Predictions()
    if (first := next(batches, None)) is not None:
        everything = chain([first], batches)
        target = resolve_device(device)
        logits = forward(viewed, everything, device=target, precision=precision)
        rows = probabilities(logits, task, temperature).tolist()
        names = class_names(model, logits.shape[1])
        above = (THRESHOLD if threshold is None else threshold) if is_multi_label(task) else None
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


def class_names(model: Model, count: int) -> list[str]:
    """Name the classes of a model: those of its data set, or ``"0"``, ``"1"``, ...

    Args:
        model: Any callable from a float batch to logits.
        count: The number of logits that it gives.

    Raises:
        ValueError: If its data set has another number of classes.
    """
    info = dataset_of(model)
    if info is None:
        return [str(k) for k in range(count)]
    if info.num_classes != count:
        raise ValueError(
            f"the model gives {count} logits, but {info.title}, which it was made for, has "
            f"{info.num_classes} classes"
        )
    return list(info.classes)


def check_classifier(model: Model) -> None:
    """Make sure that a model gives logits of classes, not features.

    Args:
        model: Any callable from a float batch.

    Raises:
        ValueError: If it says that it has no classes.
    """
    if getattr(model, "num_classes", None) == 0:
        raise ValueError("the model has no classifier; make it with create_model(..., dataset=...)")


def _check(
    model: Model,
    top_k: int | None,
    threshold: float | None,
    on_error: OnError | None,
    batch_size: int,
) -> None:
    check_classifier(model)
    if top_k is not None and not (isinstance(top_k, SupportsIndex) and top_k >= 1):
        raise ValueError(
            f"top_k={top_k!r} must be a whole number of at least 1, or None for all classes"
        )
    if threshold is not None and not (isinstance(threshold, SupportsFloat) and 0 < threshold < 1):
        raise ValueError(f"threshold={threshold!r} must be a number between 0 and 1")
    if on_error is not None and on_error not in get_args(OnError):
        raise unknown_name("on_error", on_error, get_args(OnError))
    if not (isinstance(batch_size, SupportsIndex) and batch_size >= 1):
        raise ValueError(f"batch_size={batch_size!r} must be a whole number of at least 1")


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
