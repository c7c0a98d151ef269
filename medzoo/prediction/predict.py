"""Labelled probabilities for images, from files or from memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias, get_args, overload

import numpy as np
from PIL import Image
from torch import Tensor

from medzoo.datasets import Split
from medzoo.deployment import load_model
from medzoo.device import resolve_device
from medzoo.errors import unknown_name
from medzoo.evaluation.operating_points import ConfidencePoint, ThresholdLike
from medzoo.inference import InferenceOptions, Model
from medzoo.inference.conformal import conformal_for
from medzoo.inference.ood_scores import run_with_scores
from medzoo.inference.options import Settings
from medzoo.inference.selective import selective_for
from medzoo.prediction.decide import Decisions, check_classifier
from medzoo.prediction.loading import BatchReader
from medzoo.prediction.result import Failure, Prediction, Predictions
from medzoo.prediction.sources import ImageSource, ImageSources, find_sources
from medzoo.spec import spec_of
from medzoo.spec.find import find_spec

if TYPE_CHECKING:
    from typing_extensions import Unpack

OnError = Literal["raise", "skip"]

_BATCH = 64
_BATCHES = 16  # that are computed before `iter_predictions` yields what is said about their images


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
    call = _Call.of(
        model,
        images,
        top_k=top_k,
        threshold=threshold,
        on_error=on_error,
        min_confidence=min_confidence,
        abstain_above=abstain_above,
        **options,
    )
    outcomes = list(call.outcomes())
    call.reading.depth.finish()
    predictions = Predictions(
        (one for one in outcomes if isinstance(one, Prediction)),
        (one for one in outcomes if isinstance(one, Failure)),
    )
    if predictions.failures:
        first_error = predictions.failures[0].error
        warnings.warn(
            f"{len(predictions.failures)} of {len(outcomes)} images were skipped, see .failures; "
            f"the first: {first_error}",
            stacklevel=2,
        )
    return predictions[0] if call.reading.sources.single and predictions else predictions


def iter_predictions(
    model: ModelSource, images: ImageSources, **options: Unpack[PredictOptions]
) -> Iterator[Prediction | Failure]:
    """Name what a model sees in any number of images, in the memory that a thousand take.

    Args:
        model: As for `predict`.
        images: As for `predict`; also one image.
        **options: As for `predict`.

    Returns:
        An iterator over the images, in their order: a prediction, or why the image was skipped,
        for which there is no warning. It computes 16 batches at a time, which are also what is
        checked together: that outputs are not probabilities, for example.

    Raises:
        TypeError: As `predict`; this and the following before anything is read if the arguments
            are wrong, else from the iterator.
        ValueError: As `predict`.
        FileNotFoundError: As `predict`.
        DatasetError: As `predict`.
        WeightsError: As `predict`.

    Examples:
        >>> import medzoo
        >>> from medzoo.prediction import iter_predictions
        >>> images = medzoo.synthetic("dermamnist", n_train=14).train.images
        >>> for one in iter_predictions("simple_cnn.dermamnist", images[:2]):
        ...     print(len(one.probabilities))
        7
        7
    """
    return _streamed(_Call.of(model, images, **options))


def _streamed(call: _Call) -> Iterator[Prediction | Failure]:
    yield from call.outcomes(_BATCHES)
    call.reading.depth.finish()


@dataclass(frozen=True)
class _Call:
    """Checked arguments of `predict`.

    Attributes:
        model: What computes logits.
        settings: How it is run.
        decisions: What is said about its logits.
        reading: The way from images to batches.
    """

    model: Model
    settings: Settings
    decisions: Decisions
    reading: BatchReader

    @classmethod
    def of(
        cls,
        model: ModelSource,
        images: ImageSources,
        *,
        top_k: int | None = None,
        threshold: ThresholdLike | None = None,
        on_error: OnError | None = None,
        min_confidence: float | ConfidencePoint | None = None,
        abstain_above: float | None = None,
        **options: Unpack[InferenceOptions],
    ) -> _Call:
        settings = Settings.of(options, PredictOptions, batch_size=_BATCH)
        resolve_device(settings.device)  # before anything is loaded, read or resized
        runs = load_model(model)
        spec = spec_of(runs, settings.spec)
        check_classifier(spec)
        own = find_spec(runs)
        decisions = Decisions.of(
            spec,
            conformal_for(spec, settings, own),
            selective_for(spec, settings, own, threshold),
            top_k=top_k,
            threshold=threshold,
            min_confidence=min_confidence,
            abstain_above=abstain_above,
        )
        if on_error is not None and on_error not in get_args(OnError):
            raise unknown_name("on_error", on_error, get_args(OnError))
        sources = find_sources(images, spec.input.channels)
        skips = None if on_error is None else on_error == "skip"
        reading = BatchReader(sources, spec.input, int(settings.batch_size), skips)
        return cls(runs, settings, decisions, reading)

    def outcomes(self, batches_at_once: int | None = None) -> Iterator[Prediction | Failure]:
        """Yield what is said about each image.

        Args:
            batches_at_once: Batches that are computed before anything is said; None for all.
        """
        more = None if batches_at_once is None else batches_at_once - 1
        with closing(self.reading.batches()) as batches:
            while (first := next(batches, None)) is not None:
                some = chain([first], islice(batches, more))
                spec = self.decisions.spec
                logits, ood_scores = run_with_scores(self.model, some, spec, self.settings)
                read = self.reading.take()
                sources = [one for one in read if not isinstance(one, Failure)]
                found = self.decisions.predictions(logits, ood_scores, sources)
                for one in read:
                    yield one if isinstance(one, Failure) else next(found)
        yield from (one for one in self.reading.take() if isinstance(one, Failure))
