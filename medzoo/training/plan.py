"""What a run is about to do, as text, before it does it."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset
from medzoo.device import autocast
from medzoo.distributed import world_size
from medzoo.escape import for_display
from medzoo.randomness import reserve_generator
from medzoo.training.loader import BatchSource
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.records.lineage import architecture_name, can_be_rebuilt
from medzoo.training.records.run_files import RunFiles

_CLASSES = 20
"""Classes whose images are counted in the text; of more, it gives the number."""

_FEW = 100
"""Steps of a run below which networks stay close to their initial weights."""


def describe_plan(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    files: RunFiles,
    batches: BatchSource,
    *,
    device: torch.device,
    done: int = 0,
    seconds: float | None = None,
) -> str:
    """Describe a run before its first step.

    Args:
        model: What is trained.
        data: Its training and validation images; the test split is not read.
        recipe: How it is trained.
        files: Where its files go.
        batches: What it learns from.
        device: Where it is trained.
        done: Epochs that were done before, if the run is resumed.
        seconds: Estimated time of an epoch, if there is an estimate.

    Returns:
        Several lines, indented below the name of the run.
    """
    steps, left = batches.steps_before(recipe.epochs), recipe.epochs - done
    sections = {
        "model": [_model(model)],
        "data": [for_display(data.title), *_images_per_class(data)],
        "size": list(_size(data, batches)),
        "steps": [
            f"{_counted(steps, 'step')} of {_batch(recipe, batches)}",
            f"{_counted(recipe.epochs, 'epoch')} of {steps / recipe.epochs:.3g} steps"
            + (f"; done already: {_counted(done, 'epoch')}" if done else ""),
            *(["few to learn from: more epochs or smaller batches usually help"] * (steps < _FEW)),
        ],
        "device": [_device(device, recipe)],
        "time": []
        if seconds is None
        else [f"about {_duration(seconds * left)} (an estimate from one timed step)"],
        "files": _files(model, files),
    }
    lines = [files.name]
    for name, texts in sections.items():
        heads = chain([name], repeat(""))
        lines += [f"  {head:<7} {text}".rstrip() for head, text in zip(heads, texts, strict=False)]
    return "\n".join(lines)


def estimate_epoch(
    model: nn.Module, data: Dataset, recipe: Recipe, batches: BatchSource, device: torch.device
) -> float:
    """Estimate the seconds of an epoch with its validation, from one step of a copy of the model.

    Nothing that decides the run is touched: neither the model, nor its batches, whose order and
    augmentation depend on the epoch alone.

    Args:
        model: What is trained, on `device`.
        data: Its validation images count.
        recipe: Its precision, and how often it is validated.
        batches: What it learns from.
        device: Where it is trained.
    """
    network = copy.deepcopy(model).train()
    stream = _endless(batches)
    # Dropout must not draw from another training's numbers.
    with reserve_generator(recipe.seed, device):
        _step(network, stream, recipe, device)  # the first one allocates memory, chooses kernels
        began = time.perf_counter()
        _step(network, stream, recipe, device)
        step = time.perf_counter() - began
    # A validated image takes a forward pass: about a third of what a training image takes.
    validation = step * len(data.val) / (3 * batches.loader.batch_size)
    steps = batches.steps_before(recipe.epochs) / recipe.epochs
    return step * steps + validation / recipe.validate_every


def _endless(batches: BatchSource) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from batches.epoch(0)  # has a batch, since none is larger than all images


def _step(
    network: nn.Module,
    stream: Iterator[tuple[Tensor, Tensor]],
    recipe: Recipe,
    device: torch.device,
) -> None:
    images, _ = next(stream)
    with autocast(device, recipe.precision):
        logits = network(images)
    logits.float().square().mean().backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _model(model: nn.Module) -> str:
    sizes = [(one.numel(), one.requires_grad) for one in model.parameters()]
    total = sum(size for size, _ in sizes)
    learning = sum(size for size, learns in sizes if learns)
    fixed = "" if learning == total else f", {learning:,} of them learn"
    return f"{architecture_name(model)}, {total:,} parameters{fixed}"


def _images_per_class(data: Dataset) -> list[str]:
    """Return a table: a row per class, and one for all images."""
    classes = [f"{for_display(name):.40}" for name in data.info.classes]
    train, val = (split.class_counts.values() for split in (data.train, data.val))
    rows = [
        (name, f"{one:,}", f"{other:,}")
        for name, one, other in zip(classes, train, val, strict=True)
    ]
    if more := rows[_CLASSES:]:
        rows = [*rows[:_CLASSES], (f"({len(more)} more classes)", "", "")]
    rows = [
        ("images", "train", "val"),
        *rows,
        ("all", f"{len(data.train):,}", f"{len(data.val):,}"),
    ]
    width = max(len(name) for name, *_ in rows)
    return [f"{name:<{width}} {one:>9} {other:>9}" for name, one, other in rows]


def _size(data: Dataset, batches: BatchSource) -> Iterator[str]:
    colours = {1: "gray", 3: "RGB"}.get(data.info.channels, f"{data.info.channels} channels")
    yield (
        f"{data.size} x {data.size} pixels, {colours}, as the data were loaded "
        "(size= or --size gives another)"
    )
    if (larger := batches.loader.split.images.shape[-1]) != data.size:
        yield f"random changes at {larger} x {larger} pixels (high_res)"


def _batch(recipe: Recipe, batches: BatchSource) -> str:
    size = batches.loader.batch_size
    text = _counted(size, "image")
    if size < recipe.batch_size:
        text += f" (there are no more; the recipe's batch size is {recipe.batch_size})"
    return text + (f", shared by {world_size()} processes" if world_size() > 1 else "")


def _device(device: torch.device, recipe: Recipe) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    is_float32 = isinstance(autocast(device, recipe.precision), nullcontext)
    precision = "float32" if is_float32 else "bfloat16"
    return f"{device}{f' ({name})' if name else ''}, {precision}"


def _files(model: nn.Module, files: RunFiles) -> list[str]:
    if files.folder is None:
        return ["none (output= or --output names a folder)"]
    weights = [files.weights] if can_be_rebuilt(model) else []
    return [str(path) for path in (*weights, files.checkpoint, files.history)]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
