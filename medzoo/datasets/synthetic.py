"""Synthetic data sets with learnable classes, for tests and examples without a download."""

from __future__ import annotations

from typing import cast

import numpy as np

from medzoo.datasets.build import RawDataset
from medzoo.datasets.dataset import Dataset, build_dataset
from medzoo.datasets.info import SPLIT_NAMES, TASKS, DatasetInfo, SplitName, Task, dataset_info
from medzoo.datasets.provenance import Provenance

_KNOTS = 6  # free values per side in a quarter of the pattern of a class
_GRID = 5  # points per side of the smooth background that hides the pattern
_CHUNK = 1 << 22  # values held in memory as floats at once
_PREVALENCE = 0.3  # share of positive images per label, if multi-label


def synthetic(
    name: str | None = None,
    *,
    task: Task | None = None,
    num_classes: int | None = None,
    channels: int | None = None,
    size: int = 28,
    n_train: int = 512,
    n_val: int = 128,
    n_test: int = 256,
    seed: int = 0,
) -> Dataset:
    """Generate a data set whose classes can be learned within seconds, but not perfectly.

    Each class is a random pattern, symmetric so that flips and quarter turns do not change it. It
    is added with varying strength to a smooth random background and noise. Grades
    (ordinal-regression) are interpolated between two such patterns; the patterns of labels
    (multi-label) are added up. Classes are equally frequent; each label has 30 % positive images.
    The same arguments always give the same images.

    Args:
        name: A MedMNIST data set whose task, classes and channels are copied, or a task.
        task: The task, if no data set is named; multi-class by default.
        num_classes: Number of classes; by default that of the named data set, else 2 if binary and
            4 otherwise.
        channels: 1 or 3; by default that of the named data set, else 3.
        size: Height (= width) of the images in pixels.
        n_train: Number of training images.
        n_val: Number of validation images.
        n_test: Number of test images.
        seed: Random seed.

    Returns:
        The data set, with SYNTHETIC in its title.

    Raises:
        ValueError: If an argument has an invalid value, or arguments contradict each other.
    """
    if name in TASKS:
        name, task = None, cast(Task, name)
    counts: dict[str, int] = {"train": n_train, "val": n_val, "test": n_test}
    for label, value in [("size", size), *((f"n_{split}", n) for split, n in counts.items())]:
        if value < 1:
            raise ValueError(f"{label}={value!r} must be at least 1")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels={channels!r} must be 1 or 3")
    info = _describe(name, task, num_classes, channels, size, counts)
    patterns = _patterns(np.random.default_rng([seed, len(SPLIT_NAMES)]), info, size)
    arrays: dict[SplitName, tuple[np.ndarray, np.ndarray]] = {}
    for index, split in enumerate(SPLIT_NAMES):
        rng = np.random.default_rng([seed, index])
        labels = _labels(rng, info, counts[split])
        arrays[split] = _images(rng, labels, patterns, info), labels
    provenance = Provenance(file=None, md5=None, official=False, note="synthetic")
    return build_dataset(RawDataset(arrays, provenance), info)


def _describe(
    name: str | None,
    task: Task | None,
    num_classes: int | None,
    channels: int | None,
    size: int,
    counts: dict[str, int],
) -> DatasetInfo:
    if name is not None:
        known = dataset_info(name)
        if task not in (None, known.task) or num_classes not in (None, known.num_classes):
            raise ValueError(
                f"{known.name} is {known.task!r} with {known.num_classes} classes; "
                "give either the name, or task and num_classes"
            )
        name, title, task, classes = known.name, known.title, known.task, known.classes
        channels = channels or known.channels
    else:
        task = task or "multi-class"
        name = title = task.split(",")[0]
        count = num_classes if num_classes is not None else 2 if task == "binary-class" else 4
        classes = tuple(f"class {i}" for i in range(count))
    return DatasetInfo(
        name=f"synthetic_{name}",
        title=f"SYNTHETIC {title}",
        task=task,
        classes=classes,
        channels=channels or 3,
        licence="CC0-1.0",
        description="Synthetic images; scores measured on them have no medical meaning.",
        sizes=(size,),
        n_samples=dict(counts),
    )


def _patterns(rng: np.random.Generator, info: DatasetInfo, size: int) -> np.ndarray:
    """Return one pattern per class, (K, size, size, C) float32 with values from -1 to 1."""
    ends = 2 if info.task == "ordinal-regression" else info.num_classes
    shape = (ends, _KNOTS, _KNOTS, info.channels)
    knots = rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.0, shape)
    upper = np.triu(np.ones((_KNOTS, _KNOTS)))[..., None]
    # One quarter, symmetric about its diagonal.
    knots = np.where(upper, knots, knots.swapaxes(1, 2))
    if info.task == "ordinal-regression":
        grade = np.linspace(0, 1, info.num_classes)[:, None, None, None]
        knots = (1 - grade) * knots[0] + grade * knots[1]
    fold = _interpolation(np.abs(np.linspace(-1, 1, size)), _KNOTS)  # both halves are the same
    patterns: np.ndarray = np.einsum("hi,wj,kijc->khwc", fold, fold, knots, optimize=True)
    return patterns.astype(np.float32)


def _labels(rng: np.random.Generator, info: DatasetInfo, count: int) -> np.ndarray:
    if not info.multi_label:
        return rng.permutation(np.arange(count) % info.num_classes)
    positives = np.arange(count) < round(_PREVALENCE * count)
    return np.stack([rng.permutation(positives) for _ in info.classes], axis=1).astype(np.int64)


def _images(
    rng: np.random.Generator, labels: np.ndarray, patterns: np.ndarray, info: DatasetInfo
) -> np.ndarray:
    size, channels = patterns.shape[1], info.channels
    spread = _interpolation(np.linspace(0, 1, size), _GRID).astype(np.float32)
    images = np.empty((len(labels), size, size, channels), np.uint8)
    step = max(1, _CHUNK // images[0].size)
    for start in range(0, len(labels), step):
        chosen = labels[start : start + step]
        if info.multi_label:
            signal = np.tensordot(chosen.astype(np.float32) - _PREVALENCE, patterns, axes=1)
        else:
            signal = patterns[chosen]
        grid = rng.standard_normal((len(chosen), _GRID, _GRID, channels), np.float32)
        background = np.einsum("hi,wj,nijc->nhwc", spread, spread, grid, optimize=True)
        strength = rng.uniform(0, 32, (len(chosen), 1, 1, 1)).astype(np.float32)
        noise = rng.standard_normal(signal.shape, np.float32)
        values = 128 + strength * signal + 40 * background + 12 * noise
        images[start : start + step] = values.clip(0, 255).round()
    return images


def _interpolation(positions: np.ndarray, knots: int) -> np.ndarray:
    """Return weights (len(positions), knots) of linear interpolation between evenly spaced knots.

    Args:
        positions: Positions in [0, 1].
        knots: Number of evenly spaced knots, the first at 0 and the last at 1.
    """
    distance = np.abs(positions[:, None] * (knots - 1) - np.arange(knots))
    return np.clip(1 - distance, 0, 1)
