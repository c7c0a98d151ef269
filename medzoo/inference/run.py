"""Running a model over many images, in batches, without gradients and without side effects."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medzoo.datasets import DatasetInfo, Split, Task
from medzoo.datasets.storage import iter_chunks
from medzoo.device import autocast, resolve_device
from medzoo.distributed import device_of_process, gather_rows, rank, shard
from medzoo.inference.ensemble import Ensemble
from medzoo.inference.model import Model, at_least_float32, logits_of
from medzoo.inference.modes import for_inference
from medzoo.inference.options import Settings, SplitOptions
from medzoo.inference.output_check import OutputCheck
from medzoo.inference.tta import ViewAverage, check_views
from medzoo.spec import ModelSpec, spec_of
from medzoo.transforms import check_batch, prepare_batch

if TYPE_CHECKING:
    from typing_extensions import Unpack


def predict_logits(model: Model, images: Tensor, **options: Unpack[SplitOptions]) -> Tensor:
    """Run a model over raw images, resized, normalised and with channels as it expects them.

    Only one batch at a time is on the device and in floating point. A module is run in evaluation
    mode and afterwards put back into the modes and on the device that it came in.

    Args:
        model: Any callable from a float batch to logits (N, K) that says what it is, or for which
            `spec=` does.
        images: uint8 (N, C, H, W), on any device.
        **options: See `medzoo.inference.SplitOptions`.

    Returns:
        Calibrated logits, float64 (N, K), on the CPU: already divided by the temperature, and with
        `tta` averaged over the views. `probabilities` turns them into probabilities. With
        ``temperature=1.0`` they are the network's own.

    Raises:
        TypeError: If the model does not say what it is, the images are not a tensor, or an option
            does not exist.
        ValueError: If the images are empty or not a uint8 batch, the model's output is not one row
            of logits per image, an option does not fit, or `tta` mirrors images whose classes
            distinguish left from right.
    """
    settings = Settings.of(options)
    return _run_over(model, images, spec_of(model, settings.spec), settings)


def split_logits(model: Model, split: Split, **options: Unpack[SplitOptions]) -> Tensor:
    """Run a model over a split, after making sure that it fits the split's task.

    Args:
        model: As in `predict_logits`.
        split: The labelled images.
        **options: See `medzoo.inference.SplitOptions`.

    Returns:
        Calibrated logits, float64 (N, K), on the CPU; see `predict_logits`.

    Raises:
        TypeError: If `split` is not a `Split`; otherwise as `predict_logits`.
        ValueError: If the split is empty, or the model was made for another kind of task, another
            number of classes, or the same classes in another order. Classes with other names are
            a warning.
    """
    if not isinstance(split, Split):
        raise TypeError(f"split is a {type(split).__name__}; give one split, e.g. data.test")
    if not len(split):
        raise ValueError(f"the {split.name} split of {split.title} is empty; nothing to evaluate")
    if not callable(model):
        raise TypeError(
            f"model={model!r} is not a model; give one, e.g. medzoo.create_model({model!r}, "
            "pretrained=True)"
        )
    settings = Settings.of(options)
    spec = _answering(split, model, spec_of(model, settings.spec))
    logits = _run_over(model, split.images, spec, settings)
    if logits.shape[1] != split.info.num_classes:
        raise ValueError(_other_number(logits.shape[1], split))
    return logits


def run_batches(
    model: Model, batches: Iterable[Tensor], spec: ModelSpec, settings: Settings
) -> Tensor:
    """Run a model over prepared batches: the one place where logits are calibrated.

    Args:
        model: Any callable from a float batch to logits (N, K).
        batches: Float batches (N, C, H, W), prepared as the model expects them; at least one.
        spec: What the model is.
        settings: How it is run.

    Returns:
        Calibrated logits, float64 (N, K), on the CPU; see `predict_logits`.

    Raises:
        ValueError: If the model's output is not one row of logits per image, or is probabilities
            (see `OutputCheck`), or `tta` mirrors images whose classes distinguish left from right.
        RuntimeError: If the model would have to be moved to another device while another thread
            uses it.
    """
    check_views(settings.tta, spec)
    temperature = spec.temperature if settings.temperature is None else settings.temperature
    target = (device_of_process if settings.sharded else resolve_device)(settings.device)
    check = OutputCheck(spec.multi_label)
    averaged = settings.tta != "none"
    runs = (
        ViewAverage(model, settings.tta, spec.multi_label, temperature, check)
        if averaged
        else model
    )
    logits = []
    with (
        for_inference(runs, target),
        autocast(target, settings.precision),
        torch.inference_mode(),
    ):
        for batch in batches:
            output = logits_of(runs, batch.to(target))
            if not averaged:
                check.add(output)
            logits.append(at_least_float32(output))
    check.finish()
    # Joined outside of inference mode, so that callers may use the result with autograd; in
    # double precision, so that close scores do not tie.
    joined = torch.cat(logits).cpu().double()
    return joined if averaged else joined / temperature


def probabilities(logits: Tensor, task: Task | None) -> Tensor:
    """Turn calibrated logits into probabilities, in double precision so that scores do not tie.

    Args:
        logits: As `predict_logits` gives them, (N, K).
        task: MedMNIST's name of the task; None counts as single-label.

    Returns:
        float64 (N, K) on the CPU: the sigmoid of each label's logit for multi-label tasks,
        otherwise the softmax over classes.

    Raises:
        ValueError: If a logit is NaN or a row has no softmax; the message names the image.
    """
    values = logits.detach().cpu().double()
    multi_label = task == "multi-label, binary-class"
    result = values.sigmoid() if multi_label else values.softmax(dim=1)
    broken = result.isnan().any(dim=1).nonzero()
    if len(broken):
        raise ValueError(
            f"the model gave NaN or infinite logits for {len(broken)} of {len(logits)} images "
            f"(first: image {int(broken[0])}); check its weights, the normalisation and precision"
        )
    return result


def _run_over(model: Model, images: Tensor, spec: ModelSpec, settings: Settings) -> Tensor:
    """Run a model over raw images, or over this process's part of them."""
    check_batch(images)
    if not len(images):
        raise ValueError("there are no images to run the model on; give at least one")
    count, size = len(images), settings.batch_size
    own = shard(-(-count // size)) if settings.sharded else slice(0, count)
    part = slice(min(own.start * size, count), min(own.stop * size, count))
    # A process without a share computes a batch all the same, to know how many logits there are.
    chunks: Iterable[Tensor] = iter_chunks(
        images[part] if len(images[part]) else images[:size], size
    )
    if settings.progress and not (settings.sharded and rank()):
        from tqdm.auto import tqdm

        total = -(-(part.stop - part.start) // size)
        chunks = tqdm(chunks, desc="evaluating", unit="batch", leave=False, total=total)
    target = (device_of_process if settings.sharded else resolve_device)(settings.device)

    def batches() -> Iterator[Tensor]:
        for chunk in chunks:
            yield prepare_batch(chunk.to(target, non_blocking=True), spec.input)

    logits = run_batches(model, batches(), spec, settings)
    if not settings.sharded:
        return logits
    return gather_rows(logits[: part.stop - part.start], part, count)


def _answering(split: Split, model: Model, spec: ModelSpec) -> ModelSpec:
    """Return the spec of a model that answers a split's question, or say why it does not."""
    info = split.info
    if spec.task is not None and spec.multi_label != info.multi_label:
        made_for = f"{spec.dataset.title} ({spec.task})" if spec.dataset else spec.task
        raise ValueError(
            f"the model was made for {made_for}, but {split.title} is {info.task}; make one with "
            "create_model(..., dataset=data)"
        )
    if spec.num_classes and spec.num_classes != info.num_classes:
        raise ValueError(_other_number(spec.num_classes, split))
    if spec.classes:
        _compare_classes(spec.classes, info)
    if spec.task is not None:
        return spec
    if isinstance(model, Ensemble) and info.multi_label:
        raise ValueError(
            "no member of the ensemble says what it was made for, so their softmax is averaged, "
            f"but {split.title} is {info.task}; make members with create_model(..., dataset=data)"
        )
    return replace(spec, num_classes=info.num_classes, classes=info.classes, task=info.task)


def _other_number(given: int, split: Split) -> str:
    return (
        f"the model gives {given} logits, but {split.title} has {split.info.num_classes} classes; "
        "make one with create_model(..., dataset=data)"
    )


def _compare_classes(own: tuple[str, ...], info: DatasetInfo) -> None:
    """Refuse a split with a model's classes in other places; warn if they are other classes.

    The numbers from 0, which classes have if no names are given, say nothing.
    """
    given = info.classes
    if own == given:
        return
    if sorted(own) == sorted(given):
        raise ValueError(
            f"the model's classes are {own!r}, those of {info.title} are the same in another "
            f"order, {given!r}; load the data with classes={list(own)!r}"
        )
    moved = [
        name for name, other in zip(own, given, strict=True) if name != other and name in given
    ]
    if moved:
        raise ValueError(
            f"the model's classes are {own!r}, those of {info.title} are {given!r}, with "
            f"{moved[0]!r} in another place; load the data with classes={list(own)!r}, or with "
            "names of their own"
        )
    numbers = tuple(map(str, range(len(own))))
    if numbers not in (own, given):
        warnings.warn(
            f"the model was made for the classes {own!r}, but those of {info.title} are {given!r}; "
            "they are compared by their places",
            stacklevel=5,
        )
