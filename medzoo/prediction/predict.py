"""Labelled probabilities for images, from files or from memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import (
    IO,
    TYPE_CHECKING,
    Any,
    Literal,
    SupportsFloat,
    SupportsIndex,
    TypeAlias,
    get_args,
    overload,
)

import numpy as np
from PIL import Image
from torch import Tensor

from medzoo.datasets import Split
from medzoo.deployment import load_model
from medzoo.device import resolve_device
from medzoo.errors import unknown_name
from medzoo.evaluation.metrics import check_threshold
from medzoo.evaluation.metrics.selective import confidence_of
from medzoo.evaluation.operating_points import ConfidencePoint, OperatingPoint, ThresholdLike
from medzoo.inference import InferenceOptions, Model, probabilities
from medzoo.inference.conformal import conformal_for, named_sets
from medzoo.inference.ood_scores import run_with_scores
from medzoo.inference.options import Settings
from medzoo.inference.selective import check_risk, selective_for
from medzoo.prediction.loading import BatchReader
from medzoo.prediction.result import Prediction, Predictions
from medzoo.prediction.sources import ImageSource, ImageSources, find_sources
from medzoo.spec import ModelSpec, spec_of
from medzoo.spec.find import find_spec

if TYPE_CHECKING:
    from typing_extensions import Unpack

OnError = Literal["raise", "skip"]

_BATCH = 64


class PredictOptions(InferenceOptions, total=False):
    """How images are predicted; the options of `medzoo.inference.InferenceOptions` and five more.

    Attributes:
        top_k: Keep only the most probable classes; all when not given.
        threshold: Probability above which a label of a multi-label task (then also one per label),
            or the second class of a binary task, is decided for, in (0, 1), or an operating point
            of `medzoo.choose_threshold`; 0.5 when not given.
        on_error: What to do about an image that cannot be read: ``"raise"``, or ``"skip"`` it and
            warn once at the end. By default what is found in a folder or by a pattern is skipped,
            and what was given is not.
        min_confidence: Confidence below which no answer is given, in [0, 1].
        abstain_above: Risk above which no answer is given, in (0, 1).
    """

    top_k: int | None
    threshold: ThresholdLike | None
    on_error: OnError | None
    min_confidence: float | ConfidencePoint | None
    abstain_above: float | None


ModelSource: TypeAlias = "Model | str | os.PathLike[str]"
"""A model, or the name or file of one; see `medzoo.deployment.load_model`."""


@overload
def predict(  # type: ignore[overload-overlap]  # an open file is an iterable of its lines
    model: ModelSource,
    images: Image.Image | bytes | IO[bytes],
    **options: Unpack[PredictOptions],
) -> Prediction: ...
@overload
def predict(  # type: ignore[overload-overlap]  # a string is a sequence of strings, but one path
    # `Any`, so that those who give a file need not rule out what a folder would give.
    model: ModelSource,
    images: str | os.PathLike[str],
    **options: Unpack[PredictOptions],
) -> Prediction | Any: ...
@overload
def predict(
    model: ModelSource, images: np.ndarray | Tensor, **options: Unpack[PredictOptions]
) -> Prediction | Predictions: ...
@overload
def predict(
    model: ModelSource,
    images: Iterable[ImageSource] | Split,
    **options: Unpack[PredictOptions],
) -> Predictions: ...
def predict(
    model: ModelSource,
    images: ImageSources,
    *,
    top_k: int | None = None,
    threshold: ThresholdLike | None = None,
    on_error: OnError | None = None,
    min_confidence: float | ConfidencePoint | None = None,
    abstain_above: float | None = None,
    **options: Unpack[InferenceOptions],
) -> Prediction | Predictions:
    """Name what a model sees in one image or in several.

    Images are prepared by the model's own transform, whatever their size and channels. Logits are
    divided by the model's temperature, and its thresholds give prediction sets, if it has any (see
    `medzoo.calibrate`). Files are read batch by batch, so that any number of them fits into memory,
    with a progress bar if it takes longer.

    Args:
        model: A medzoo or timm model, also in a wrapper such as `DataParallel`; any callable with
            ``spec=``; or the name of a checkpoint, a weights file or an exported .onnx file, which
            is loaded for this call. Class names are those of its spec; without a task it is taken
            as single-label, and classes without names are called ``"0"``, ``"1"``, ...
        images: One image: a file (see `medzoo.images.file.read_image`), the content of a file
            (bytes, or a binary file that was opened), a PIL image, an array (H, W) or (H, W, C) or
            a tensor (H, W) or (C, H, W). Or several: a folder, whose images are found at any
            depth, sorted by path, without hidden ones; a pattern, such as ``"scans/*.png"`` or
            ``"scans/**/*.dcm"``; a list, iterator, column of a table or array of these; an array
            or tensor of four dimensions (images first), or of square gray images (N, H, W); a
            split, such as ``data.test``.
        top_k: Keep only the most probable classes; all when not given.
        threshold: Probability above which a label of a multi-label task (then also one per label),
            or the second class of a binary task, is decided for, in (0, 1), or an operating point
            of `medzoo.choose_threshold`; 0.5 when not given.
        on_error: What to do about an image that cannot be read: ``"raise"``, or ``"skip"`` it and
            warn once at the end. By default what is found in a folder or by a pattern is skipped,
            and what was given is not.
        min_confidence: Confidence below which no answer is given, in [0, 1]: such a prediction has
            no labels, and `Prediction.abstained` is true. Best what `medzoo.choose_confidence` has
            chosen on the validation split. The confidence is the probability of the class that is
            decided for; for multi-label tasks the mean over labels of that of each decision.
        abstain_above: Risk above which no answer is given, in (0, 1): with 0.05, and a
            probability of 95 %, at most 5 % of the answers that are given are wrong, if images are
            of the same kind as those that the model was calibrated on (`medzoo.calibrate`). It
            leaves the more images unanswered, the lower it is. See `Prediction.risk`.
        **options: ``batch_size`` (64 by default), ``device``, ``precision``, ``tta``,
            ``temperature``, ``spec``; see `medzoo.inference.InferenceOptions`.

    Returns:
        One prediction for one image; a list for several, whose attribute ``failures``
        lists the images that were skipped, and why.

    Raises:
        ImportError: If an .onnx file, or a DICOM file that was given, needs an extra that is not
            installed.
        TypeError: If the model does not say what it is and no ``spec=`` is given, `images` is
            none of these, or an option does not exist.
        WeightsError: If the weights or the .onnx file cannot be found or read.
        FileNotFoundError: If a file does not exist, or a folder or pattern gives none.
        DatasetError: If a file is not a readable image; the message names it.
        ValueError: If an image in memory has the wrong shape, a shape with two readings, such as
            (3, 28, 28) for a model of gray images, or the model gives NaN; the message names it.
            If a model's name is unknown, the model has no classifier, `threshold` is given for a
            model of more than two classes, an option does not fit, or ``tta`` mirrors images
            whose classes distinguish left from right. If `abstain_above` is given for a model
            that was not calibrated or whose answers never have so low a risk, or together with
            what its risks do not hold for.
    """
    settings = Settings.of(options, InferenceOptions, batch_size=_BATCH)
    resolve_device(settings.device)  # before anything is loaded, read or resized
    runs = load_model(model)
    spec = spec_of(runs, settings.spec)
    check_classifier(spec)
    _check(top_k, on_error)
    if isinstance(min_confidence, ConfidencePoint):
        min_confidence = min_confidence.min_confidence
    if min_confidence is not None and not (
        isinstance(min_confidence, SupportsFloat) and 0 <= float(min_confidence) <= 1
    ):
        raise ValueError(f"min_confidence={min_confidence!r} must be a number from 0 to 1")
    if isinstance(threshold, OperatingPoint):
        threshold = threshold.threshold
    limits = check_threshold(threshold, spec.task, spec.num_classes).tolist()
    above = limits if spec.multi_label or threshold is not None else None
    sources = find_sources(images, spec.input.channels)
    skips = None if on_error is None else on_error == "skip"
    reading = BatchReader(sources, spec.input, int(settings.batch_size), skips)
    batches = reading.batches()
    risks = selective_for(spec, settings, find_spec(runs), threshold)
    if abstain_above is not None:
        check_risk(abstain_above, spec, risks)
    predictions = Predictions()
    if (first := next(batches, None)) is not None:
        logits, ood_scores = run_with_scores(runs, chain([first], batches), spec, settings)
        names = class_names(spec, logits.shape[1])
        shares = probabilities(logits, spec.task)
        conformal = conformal_for(spec, settings, find_spec(runs))
        sets = named_sets(conformal, shares, spec) if conformal else []
        rows = zip(shares.tolist(), reading.paths, ood_scores, strict=True)
        for index, (row, path, ood_score) in enumerate(rows):
            one = _prediction(names, row, above, spec.multi_label, top_k, path)
            one = replace(one, ood_score=ood_score)
            if conformal:
                one = replace(one, prediction_set=sets[index], coverage=conformal.coverage)
            if min_confidence is not None or risks:
                sure = _confidence(names, row, one.labels, spec.multi_label)
                risk = risks.risk(sure) if risks else None
                one = replace(one, risk=risk)
                is_risky = abstain_above is not None and risk is not None and risk > abstain_above
                if is_risky or (min_confidence is not None and sure < min_confidence):
                    one = replace(one, labels=(), abstained=True)
            predictions.append(one)
    reading.depth.finish()
    if reading.failures:
        predictions.failures = tuple(reading.failures)
        first_error = reading.failures[0].error
        warnings.warn(
            f"{len(reading.failures)} of {len(predictions.outcomes())} images were skipped, see "
            f".failures; the first: {first_error}",
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


def _check(top_k: int | None, on_error: OnError | None) -> None:
    if top_k is not None and not (isinstance(top_k, SupportsIndex) and top_k >= 1):
        raise ValueError(
            f"top_k={top_k!r} must be a whole number of at least 1, or None for all classes"
        )
    if on_error is not None and on_error not in get_args(OnError):
        raise unknown_name("on_error", on_error, get_args(OnError))


def _prediction(
    names: Sequence[str],
    values: Sequence[float],
    above: Sequence[float] | None,
    multi_label: bool,
    top_k: int | None,
    source: str | None,
) -> Prediction:
    ranked = sorted(zip(names, values, strict=True), key=lambda pair: -pair[1])
    if above is not None and multi_label:
        limits = dict(zip(names, np.broadcast_to(above, len(names)), strict=True))
        labels = tuple(name for name, value in ranked if value > limits[name])
    else:
        if above is not None:  # the class that is decided for comes first
            decided = names[values[1] > above[0]]
            ranked.sort(key=lambda pair: pair[0] != decided)
        labels = (ranked[0][0],)
    return Prediction(dict(ranked[:top_k]), labels, source)


def _confidence(
    names: Sequence[str], values: Sequence[float], labels: Sequence[str], multi_label: bool
) -> float:
    """Return how sure the model is of its answer, as `choose_confidence` defines it."""
    decided = np.array([[name in labels for name in names]])
    return float(confidence_of(np.array([values]), decided, multi_label=multi_label)[0])
