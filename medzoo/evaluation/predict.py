"""Labelled probabilities for single images, from files or from memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from medzoo.datasets import Task
from medzoo.device import Precision, resolve_device
from medzoo.evaluation.inference import dataset_of, forward, probabilities
from medzoo.evaluation.metrics import THRESHOLD, is_multi_label
from medzoo.evaluation.model import Model
from medzoo.evaluation.tta import TTA, with_tta
from medzoo.transforms import create_transform
from medzoo.weights.temperature import temperature_of

ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor
"""One image: a file, a PIL image, or an array or tensor of two or three dimensions."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Attributes:
        probabilities: Name of the class -> probability, the most probable first; only the first
            `top_k` when asked so.
        labels: What the model decides for: the most probable class, or, for multi-label tasks,
            every label above 0.5, the most probable first (possibly none).
    """

    probabilities: dict[str, float]
    labels: tuple[str, ...]

    @property
    def label(self) -> str:
        """The most probable class or label (for multi-label tasks even if below 0.5)."""
        return next(iter(self.probabilities))

    @property
    def probability(self) -> float:
        """Probability of `label`."""
        return self.probabilities[self.label]

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain JSON values."""
        return {**asdict(self), "labels": list(self.labels)}

    def __str__(self) -> str:
        """One line a class, e.g. ``melanoma  0.912``."""
        width = max(len(name) for name in self.probabilities)
        return "\n".join(f"{name:<{width}}  {p:.3f}" for name, p in self.probabilities.items())


@overload
def predict(  # type: ignore[overload-overlap]  # a string is a sequence of strings, but one path
    model: Model,
    images: str | os.PathLike[str] | Image.Image,
    *,
    top_k: int | None = ...,
    batch_size: int = ...,
    device: str | torch.device = ...,
    precision: Precision = ...,
    tta: TTA = ...,
) -> Prediction: ...
@overload
def predict(
    model: Model,
    images: Sequence[ImageLike],
    *,
    top_k: int | None = ...,
    batch_size: int = ...,
    device: str | torch.device = ...,
    precision: Precision = ...,
    tta: TTA = ...,
) -> list[Prediction]: ...
@overload
def predict(
    model: Model,
    images: np.ndarray | Tensor,
    *,
    top_k: int | None = ...,
    batch_size: int = ...,
    device: str | torch.device = ...,
    precision: Precision = ...,
    tta: TTA = ...,
) -> Prediction | list[Prediction]: ...
def predict(
    model: Model,
    images: ImageLike | Sequence[ImageLike],
    *,
    top_k: int | None = None,
    batch_size: int = 64,
    device: str | torch.device = "auto",
    precision: Precision = "float32",
    tta: TTA = "none",
) -> Prediction | list[Prediction]:
    """Name what a model sees in one image or in several.

    Images are prepared by the model's own transform, whatever their size and channels. Logits are
    divided by the model's temperature, if it has one (see `medzoo.fit_temperature`).

    Args:
        model: A medzoo or timm model. Class names are those of ``model.dataset``; a model made
            for none is taken as single-label, its classes called ``"0"``, ``"1"``, ...
        images: A file, a PIL image, an array or a tensor; or a sequence of these, or an array
            or tensor of four dimensions (images first).
        top_k: Keep only the most probable classes; all when not given.
        batch_size: Images prepared and run at once.
        device: ``"auto"``, a PyTorch device string, or a `torch.device`.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``.
        tta: Test-time augmentation, the views of each image whose probabilities are averaged:
            ``"none"``, ``"flip"`` (2) or ``"dihedral"`` (8); see `medzoo.evaluate`.

    Returns:
        One prediction for one image, a list for several.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is not a readable image, an image has the wrong shape, or the
            model gives NaN; the message names it. If `tta` is unknown, or mirrors images whose
            classes tell left from right.
    """
    if not isinstance(images, (np.ndarray, Tensor, Image.Image, str, os.PathLike, Sequence)):
        raise ValueError(
            f"cannot predict for a {type(images).__name__}; give a file, a PIL image, an array, a "
            "tensor, or a list of these (of a data set's split: split.images)"
        )
    if getattr(model, "num_classes", None) == 0:
        raise ValueError("the model has no classifier; make it with create_model(..., dataset=...)")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k!r} must be at least 1, or None for all classes")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be at least 1")
    single = isinstance(images, (str, os.PathLike, Image.Image)) or (
        isinstance(images, (np.ndarray, Tensor)) and images.ndim != 4
    )
    several: Sequence[ImageLike] = [images] if single else images  # type: ignore[list-item, assignment]
    if not len(several):
        return []

    info, temperature = dataset_of(model), temperature_of(model)
    viewed = with_tta(model, tta, info, temperature)
    batches = _batches(_prepared(model, several), batch_size)
    logits = forward(viewed, batches, device=resolve_device(device), precision=precision)
    task: Task = "multi-class"
    names = [str(k) for k in range(logits.shape[1])]
    if info is not None:
        task, names = info.task, list(info.classes)
        if len(names) != logits.shape[1]:
            raise ValueError(
                f"the model gives {logits.shape[1]} logits, but {info.title}, which it was made "
                f"for, has {len(names)} classes"
            )
    predictions = [
        _prediction(names, row, is_multi_label(task), top_k)
        for row in probabilities(logits, task, temperature).tolist()
    ]
    return predictions[0] if single else predictions


def _prediction(
    names: Sequence[str], values: Sequence[float], multi_label: bool, top_k: int | None
) -> Prediction:
    ranked = sorted(zip(names, values, strict=True), key=lambda pair: -pair[1])
    if multi_label:
        labels = tuple(name for name, value in ranked if value > THRESHOLD)
    else:
        labels = (ranked[0][0],)
    return Prediction(dict(ranked[:top_k]), labels)


def _prepared(model: Model, images: Sequence[ImageLike]) -> Iterator[Tensor]:
    transform = create_transform(model)
    for number, image in enumerate(images):
        opened = _opened(image)
        try:
            prepared = transform(opened)
        except (TypeError, ValueError) as error:
            name = repr(str(image)) if isinstance(image, (str, os.PathLike)) else number
            raise type(error)(f"image {name}: {error}") from error
        yield prepared


def _opened(image: ImageLike) -> Image.Image | np.ndarray | Tensor:
    """Read a file into memory; leave what is already there alone."""
    if not isinstance(image, (str, os.PathLike)):
        return image
    path = Path(image)
    if not path.exists():
        raise FileNotFoundError(f"there is no image file {str(path)!r}; check the path")
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a folder; give the image files in it as a list")
    try:
        with Image.open(path) as opened:
            opened.load()
            return opened
    # Pillow's decoders raise many kinds of errors for damaged files.
    except Exception as error:
        raise ValueError(f"cannot read {str(path)!r} as an image: {error}") from error


def _batches(tensors: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    iterator = iter(tensors)
    while group := list(islice(iterator, size)):
        yield torch.stack(group)
