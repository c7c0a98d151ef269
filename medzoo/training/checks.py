"""Whether a run can work at all, found out before an hour of training instead of after it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset, Split
from medzoo.images import adapt_channels, center_crop_resize
from medzoo.spec import find_spec
from medzoo.training.loss import soft_targets
from medzoo.weights import WeightsConfig


def check_logits(model: nn.Module, data: Dataset, device: torch.device) -> None:
    """Run one image through the model, so that a wrong head is an error now and not later.

    Args:
        model: The model, on `device`; left in evaluation mode.
        data: What it is to be trained on.
        device: Where to run it.

    Raises:
        ValueError: If the model cannot take such an image, or gives other than K logits.
    """
    info = data.info
    images = torch.zeros(1, info.channels, data.size, data.size, device=device)
    advice = "make it with medzoo.create_model(..., dataset=data)"
    try:
        with torch.inference_mode():
            logits = model.eval()(images)
    except (ArithmeticError, AssertionError, RuntimeError) as error:  # so timm's say of sizes
        raise ValueError(
            f"the model cannot take an image of {data.title}, {tuple(images.shape[1:])} "
            f"({error}); {advice}"
        ) from error
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != (1, info.num_classes):
        raise ValueError(
            f"the model maps an image of {data.title} to {found}, expected logits of "
            f"shape (1, {info.num_classes}); {advice}"
        )


def check_validation(val: Split) -> None:
    """Make sure that a validation split has an AUC, by which the epoch is chosen.

    Args:
        val: The split.

    Raises:
        ValueError: If no class has both images that belong to it and images that do not.
    """
    targets = soft_targets(val)
    if not len(val) or (targets.amin(0) == targets.amax(0)).all():
        raise ValueError(
            f"the validation split of {val.title} has no AUC to choose the epoch by: all of its "
            f"{len(val)} images are of one class. Move some of each class into it"
        )


def check_output(model: nn.Module) -> None:
    """Make sure that the weights of a run with a folder can be written at its end.

    Args:
        model: What is to be trained; one that does not say its architecture has no weights file.

    Raises:
        ValueError: If it says one that could not be made again, as an ensemble does.
    """
    spec = find_spec(model)
    if spec is None or not spec.architecture:
        return
    try:
        WeightsConfig.of(model)
    except ValueError as error:
        raise ValueError(
            f"the weights of a {type(model).__name__} cannot be written to output= ({error}). "
            "Train a single model, or leave output= out"
        ) from error


def check_compiler(device: torch.device) -> None:
    """Compile a trifle, so that a missing compiler is an error now, and one that says what to do.

    Args:
        device: Where the compiled network is to run.

    Raises:
        ValueError: If `torch.compile` does not work here.
    """
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(8, device=device))
    except Exception as error:  # whatever the many tools behind it raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"compile=True does not work on this machine's {device.type} ({lines[0]:.200}); "
            "torch.compile needs a C++ compiler (e.g. apt install g++), on CUDA also Triton. "
            "Install what is missing, or leave compile out"
        ) from error


_COMPARED = 32  # images
# Sets of MedMNIST's in two sizes reach 0.97 whatever the interpolation, mirrored ones 0.7.
_ALIKE = 0.8


def check_high_res(high_res: Dataset, data: Dataset) -> None:
    """Refuse images that are not the training images of a data set in a size as large or larger.

    A few evenly spaced ones are made small and compared.

    Args:
        high_res: The larger images.
        data: The data set.

    Raises:
        ValueError: If they are smaller, or their classes, labels or pixels are others.
    """
    train, other = data.train, high_res.train
    if high_res.size < data.size:
        wrong = f"they have {high_res.size} pixels a side, fewer than its {data.size}"
    elif high_res.info.classes != data.info.classes:
        wrong = f"their classes are {high_res.info.classes!r}, not {data.info.classes!r}"
    elif not other.labels.equal(train.labels):
        wrong = "their labels differ"
    elif (alike := _likeness(train.images, other.images)) < _ALIKE:
        wrong = f"scaled down they look different (correlation {alike:.2f}, expected {_ALIKE})"
    else:
        return
    raise ValueError(
        f"high_res={high_res!r} has not the training images of {data.title} in a larger size and in "
        f"the same order: {wrong}; load the same data set with another size="
    )


def _likeness(small: Tensor, large: Tensor) -> float:
    """Return the correlation of some images with larger ones, of what is an image's own."""
    rows = torch.linspace(0, len(small) - 1, min(_COMPARED, len(small))).long()
    scaled = center_crop_resize(adapt_channels(large[rows], small.shape[1]), small.shape[-1])
    # What all images share says nothing about which is which.
    one, other = (i - i.mean(0) for i in (small[rows].float(), scaled.float()))
    norms = (one.norm() * other.norm()).item()
    return (one * other).sum().item() / norms if norms else 1.0
