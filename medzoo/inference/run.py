"""Running a model over many images, in batches, without gradients and without side effects."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from medzoo.datasets import DatasetInfo, Split, Task
from medzoo.datasets.storage.mmap import release_pages
from medzoo.device import Precision, autocast, resolve_device
from medzoo.distributed import device_of_process, gather_rows, rank, shard
from medzoo.inference.model import Model, logits_of
from medzoo.inference.tta import TTA, with_tta
from medzoo.models import Ensemble, dataset_of
from medzoo.transforms import TransformConfig, prepare_batch, transform_config
from medzoo.weights.temperature import check_temperature, temperature_of


def predict_logits(
    model: Model,
    images: Tensor,
    *,
    config: TransformConfig | None = None,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    precision: Precision = "float32",
    tta: TTA = "none",
    info: DatasetInfo | None = None,
    temperature: float | None = None,
    progress: bool = False,
    sharded: bool = False,
) -> Tensor:
    """Run a model over raw images, resized, normalised and with channels as it expects them.

    Only one batch at a time is on the device and in floating point. A module is run in evaluation
    mode and afterwards put back into the modes and on the device that it came in.

    Args:
        model: Any callable from a float batch to logits (N, K).
        images: uint8 (N, C, H, W), on any device.
        config: What the model expects; read from ``model.pretrained_cfg`` when not given.
        batch_size: Images run at once.
        device: ``"auto"``, a PyTorch device string, or a `torch.device`.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``.
        tta: Views of each image whose probabilities are averaged: ``"none"``, ``"flip"`` (2) or
            ``"dihedral"`` (8); see `medzoo.evaluate`.
        info: What the images show, which says how views are averaged; by default
            ``model.dataset``, and single-label images if it has none.
        temperature: What logits are divided by to become the probabilities that are averaged;
            by default the model's own. Without `tta` it is not needed.
        progress: Whether to show a progress bar.
        sharded: Whether the processes of an open group (see `torch.distributed`) divide the
            images among themselves, whole batches each, so that every image is computed in the
            company that it has in a single process. All of them have to call this, with the same
            arguments, and all get all logits. Without a group it changes nothing.

    Returns:
        Logits, float32 (N, K), on the CPU: not yet divided by the temperature, with `tta` or
        without.

    Raises:
        ValueError: If the images are empty or not a uint8 batch, the model's config is neither
            given nor known, its output is not one row of logits an image, or `tta` is unknown or
            mirrors images whose classes tell left from right.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4:
        found = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else images
        raise ValueError(f"images must be a uint8 tensor (N, C, H, W), got {found!s:.80}")
    if not len(images):
        raise ValueError("there are no images to run the model on; give at least one")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be at least 1")
    if config is None:
        if not hasattr(model, "pretrained_cfg"):
            raise ValueError(
                f"{type(model).__name__} has no pretrained_cfg that says how images are prepared; "
                "give config=medzoo.transforms.TransformConfig(channels, size, mean, std)"
            )
        config = transform_config(model)
    if info is None:
        info = dataset_of(model)
    # With or without views, logits are to be divided by the temperature afterwards.
    viewed = with_tta(model, tta, info, effective_temperature(model, temperature))
    target = device_of_process(device) if sharded else resolve_device(device)
    count = len(images)
    own = shard(-(-count // batch_size)) if sharded else slice(0, count)
    part = slice(min(own.start * batch_size, count), min(own.stop * batch_size, count))
    # A process without a share computes a batch all the same, to know how many logits there are.
    starts: Iterable[int] = range(part.start, part.stop, batch_size) or [0]
    if progress and not (sharded and rank()):
        from tqdm.auto import tqdm

        starts = tqdm(starts, desc="evaluating", unit="batch", leave=False)

    def batches() -> Iterator[Tensor]:
        for start in starts:
            batch = images[start : start + batch_size]
            yield prepare_batch(batch.to(target, non_blocking=True), config)
            release_pages(batch.nbytes)

    logits = forward(viewed, batches(), device=target, precision=precision)
    if not sharded:
        return logits
    return gather_rows(logits[: part.stop - part.start], part, count)


def split_logits(
    model: Model,
    split: Split,
    *,
    config: TransformConfig | None = None,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    precision: Precision = "float32",
    tta: TTA = "none",
    temperature: float | None = None,
    progress: bool = False,
    sharded: bool = False,
) -> Tensor:
    """Run a model over a split, after making sure that it fits the split's task.

    Args:
        model: Any callable from a float batch to logits (N, K).
        split: The labelled images.
        config: What the model expects; by default what it says itself, or, if it says nothing,
            images of their own size in the normalisation of ``split.info``.
        batch_size: As in `predict_logits`; so are the following.
        device: Where to compute.
        precision: In which precision.
        tta: Which views are averaged.
        temperature: What logits are divided by to become the probabilities that are averaged.
        progress: Whether to show a progress bar.
        sharded: Whether the processes of an open group divide the images among themselves.

    Returns:
        Logits, float32 (N, K), on the CPU: not yet divided by the temperature.

    Raises:
        ValueError: If `split` is no `Split` or is empty, or the model was made for another kind
            of task, another number of classes, or the same classes in another order. Classes with
            other names are a warning.
    """
    if not isinstance(split, Split):
        raise ValueError(f"split is a {type(split).__name__}; give one split, e.g. data.test")
    info = split.info
    if not len(split):
        raise ValueError(f"the {split.name} split of {split.title} is empty; nothing to evaluate")
    if not callable(model):
        raise ValueError(
            f"model={model!r} is no model; give one, e.g. medzoo.create_model({model!r}, "
            "pretrained=True)"
        )
    made_for = dataset_of(model)
    if isinstance(model, Ensemble) and made_for is None and info.multi_label:
        raise ValueError(
            "no member of the ensemble says what it was made for, so their softmax is averaged, but "
            f"{split.title} is {info.task}; make members with create_model(..., dataset=data)"
        )
    if made_for is not None and made_for.multi_label != info.multi_label:
        raise ValueError(
            f"the model was made for {made_for.title} ({made_for.task}), but {split.title} is "
            f"{info.task}; make one with create_model(..., dataset=data)"
        )
    if made_for is not None:
        _compare_classes(made_for, info)
    if config is None and not hasattr(model, "pretrained_cfg"):
        config = replace(transform_config(info), size=split.images.shape[-1])
    logits = predict_logits(
        model,
        split.images,
        config=config,
        batch_size=batch_size,
        device=device,
        precision=precision,
        tta=tta,
        info=info,
        temperature=temperature,
        progress=progress,
        sharded=sharded,
    )
    if logits.shape[1] != info.num_classes:
        raise ValueError(
            f"the model gives {logits.shape[1]} logits, but {split.title} has "
            f"{info.num_classes} classes; make one with create_model(..., dataset=data)"
        )
    return logits


def _compare_classes(made_for: DatasetInfo, info: DatasetInfo) -> None:
    """Refuse a split whose classes are a model's in another order; warn if they are others.

    Names that are mere numbers, which arrays have if none are given, say nothing.
    """
    own, given = made_for.classes, info.classes
    if own == given or len(own) != len(given):  # the number of logits is checked once there are any
        return
    if sorted(own) == sorted(given):
        raise ValueError(
            f"the model's classes are {own!r}, those of {info.title} are the same in another order, "
            f"{given!r}; load the data with classes={list(own)!r}"
        )
    if not any(name.isdecimal() for name in (*own, *given)):
        warnings.warn(
            f"the model was made for the classes {own!r}, but those of {info.title} are {given!r}; "
            "they are compared by their places",
            stacklevel=4,
        )


def effective_temperature(model: Model, temperature: float | None = None) -> float:
    """Return what a model's logits are to be divided by.

    Args:
        model: Any callable from a float batch to logits.
        temperature: A number that overrides the model's own, or None.

    Raises:
        ValueError: If it is not finite or not above 0.
    """
    return temperature_of(model) if temperature is None else check_temperature(temperature)


def forward(
    model: Model, batches: Iterable[Tensor], *, device: torch.device, precision: Precision
) -> Tensor:
    """Run a model over prepared batches.

    Args:
        model: Any callable from a float batch to logits (N, K).
        batches: Float batches (N, C, H, W), prepared as the model expects them; at least one.
        device: Where to compute.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``.

    Returns:
        Logits of all batches, float32 (N, K), on the CPU.

    Raises:
        ValueError: If the model's output is not one row of logits an image.
    """
    logits = []
    with for_inference(model, device), autocast(device, precision), torch.inference_mode():
        for batch in batches:
            logits.append(logits_of(model, batch.to(device)).float())
    # Joined outside of inference mode, so that callers may use the result with autograd.
    return torch.cat(logits).cpu()


@contextmanager
def for_inference(model: Model, device: torch.device) -> Iterator[None]:
    """Hold a module on a device in evaluation mode; leave other callables alone.

    Args:
        model: Whatever maps images to logits.
        device: Where it is to compute.
    """
    if not isinstance(model, nn.Module) or _is_ready(model, device):
        yield
        return
    # Each submodule has its own mode: frozen batch norms may be in another than their parent.
    modes = {module: module.training for module in model.modules()}
    parameter = next(model.parameters(), None)
    home = device if parameter is None else parameter.device
    try:
        model.to(device).eval()
        yield
    finally:
        model.to(home)
        for module, training in modes.items():
            module.training = training


def _is_ready(model: nn.Module, device: torch.device) -> bool:
    """Tell whether nothing has to change: all modes are evaluation, all tensors on the device.

    A plain walk, because for one image `Module.to`, `eval` and `modules` together take longer
    than many a network.
    """
    device = torch.empty(0, device=device).device  # with its index: "cuda" means one of them
    waiting = [model]
    while waiting:
        state = waiting.pop().__dict__  # attributes of a module are looked up slowly
        if state["training"]:
            return False
        for tensors in (state["_parameters"], state["_buffers"]):
            for tensor in tensors.values():
                if tensor is not None and tensor.device != device:
                    return False
        waiting += [child for child in state["_modules"].values() if child is not None]
    return True


def probabilities(logits: Tensor, task: Task, temperature: float = 1.0) -> Tensor:
    """Turn logits into probabilities, in double precision so that close scores do not tie.

    Args:
        logits: Output of the model, (N, K).
        task: MedMNIST's name of the task.
        temperature: What logits are divided by first, above 0.

    Returns:
        float64 (N, K) on the CPU: the sigmoid of each label's logit for multi-label tasks,
        otherwise the softmax over classes.

    Raises:
        ValueError: If a logit is NaN or a row has no softmax; the message names the image. If the
            temperature is not finite or not above 0.
    """
    from medzoo.evaluation.metrics import is_multi_label  # which imports this module

    values = logits.detach().cpu().double() / check_temperature(temperature)
    result = values.sigmoid() if is_multi_label(task) else values.softmax(dim=1)
    broken = result.isnan().any(dim=1).nonzero()
    if len(broken):
        raise ValueError(
            f"the model gave NaN or infinite logits for {len(broken)} of {len(logits)} images "
            f"(first: image {int(broken[0])}); check its weights, the normalisation and precision"
        )
    return result
