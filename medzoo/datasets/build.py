"""Check raw arrays and turn them into the splits of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medzoo.datasets.arrays import (
    Array,
    as_images,
    as_labels,
    check_numbering,
    check_unknown,
    fit_labels,
    infer_task,
    is_one_hot,
)
from medzoo.datasets.info import ClassNames, DatasetInfo, SplitName, Task, class_names
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.split import Split
from medzoo.errors import DatasetError, warn_caller


@dataclass(frozen=True, eq=False)
class RawDataset:
    """Images and labels of splits as a reader found them, not yet checked.

    Attributes:
        arrays: Images and labels of each split that there is, in the order train, val, test, and
            in any layout that `Dataset.from_arrays` accepts.
        provenance: Where they came from.
        name: Short name of the data set, which is also its title.
        task: The task; None to infer it from the labels.
        classes: Class names in the order of the label values; None to number them.
        licence: Licence of the images.
        description: What the images show.
    """

    arrays: Mapping[SplitName, tuple[Array, Array]]
    provenance: Provenance
    name: str = "own"
    task: Task | None = None
    classes: ClassNames | None = None
    licence: str = ""
    description: str = ""


def build_splits(raw: RawDataset, info: DatasetInfo | None = None) -> dict[SplitName, Split]:
    """Check arrays and turn them into splits.

    Args:
        raw: The arrays and what is known about them.
        info: Description of the data set that they have to match; if None, it is made from `raw`.

    Returns:
        The splits, all with the same description.

    Raises:
        TypeError: If a split is not a pair of arrays, or `classes` is a single string.
        DatasetError: If the arrays do not have the expected form, or do not match each other or
            `info`.
        ValueError: If task, classes and labels contradict each other.

    Warns:
        UserWarning: If columns of labels are read as one-hot encoded classes.
    """
    if not raw.arrays:
        raise ValueError("no split is given; a data set needs at least one of train, val and test")
    prefix = f"{raw.provenance.file}: " if raw.provenance.file else ""
    images, labels = _as_tensors(raw, prefix)
    task = info.task if info else raw.task
    check_unknown(labels, task, prefix)
    labels = _decode_one_hot(labels, task, raw.classes, prefix)
    channels, size = _common_shape(images, prefix)
    if info is None:
        checked = _describe(raw, images, labels, channels, size, prefix)
    elif channels == info.channels:
        checked = info
    else:
        raise DatasetError(
            f"{prefix}images have {channels} channels, expected {info.channels} for {info.title}"
        )
    splits = {
        split: Split(
            images[split],
            fit_labels(labels[split], checked, f"{prefix}{split} labels"),
            checked,
            split,
            raw.provenance,
        )
        for split in images
    }
    if info is None and raw.classes is None:
        check_numbering(list(labels.values()), f"{prefix}labels")
    return splits


def _as_tensors(
    raw: RawDataset, prefix: str
) -> tuple[dict[SplitName, Tensor], dict[SplitName, Tensor]]:
    """Return the images and the labels of each split."""
    for split, pair in raw.arrays.items():
        if not isinstance(pair, tuple | list):
            raise TypeError(f"{split}= must be a pair (images, labels), got {type(pair).__name__}")
        if len(pair) != 2:
            raise ValueError(f"{split}= must be a pair (images, labels), got {len(pair)} items")
    images = {
        split: as_images(pair[0], f"{prefix}{split} images") for split, pair in raw.arrays.items()
    }
    labels = {
        split: as_labels(pair[1], len(images[split]), f"{prefix}{split} labels")
        for split, pair in raw.arrays.items()
    }
    return images, labels


def _decode_one_hot(
    labels: dict[SplitName, Tensor],
    task: Task | None,
    classes: ClassNames | None,
    prefix: str,
) -> dict[SplitName, Tensor]:
    """Convert one-hot columns to class indices, unless the task is multi-label.

    Without a task, the columns could also mean labels that exclude each other by chance, so the
    conversion is announced by a warning.
    """
    if task == "multi-label, binary-class" or not is_one_hot(list(labels.values())):
        return labels
    used = torch.cat(list(labels.values())).any(0)
    if classes is None and not used.all():
        raise DatasetError(
            f"{prefix}labels: no image has a 1 in column {int(used.int().argmin())} of the one-hot "
            "encoded classes; remove the column, or name all classes with classes="
        )
    if task is None:
        count = next(iter(labels.values())).shape[1]
        names = f" ({', '.join(class_names(classes))})" if classes else ""
        single = "multi-class" if count > 2 else "binary-class"
        warn_caller(
            f"{prefix}each image has exactly one of {count} labels{names}, so they are read as "
            "one-hot encoded classes; give task='multi-label, binary-class' if an image can have "
            f"several of them, or task={single!r} to avoid this warning"
        )
    return {split: values.argmax(1) for split, values in labels.items()}


def _common_shape(images: Mapping[SplitName, Tensor], prefix: str) -> tuple[int, int]:
    """Return channels and size of the images, which have to be the same in all splits."""
    shapes = {split: tuple(tensor.shape[1:]) for split, tensor in images.items()}
    if len(set(shapes.values())) > 1:
        raise DatasetError(
            f"{prefix}images of the splits differ in (channels, height, width): {shapes}; "
            "convert them to one shape"
        )
    channels, size, _ = next(iter(shapes.values()))
    return channels, size


def _describe(
    raw: RawDataset,
    images: Mapping[SplitName, Tensor],
    labels: Mapping[SplitName, Tensor],
    channels: int,
    size: int,
    prefix: str,
) -> DatasetInfo:
    """Describe a data set by what its reader and its arrays say."""
    inferred, count = infer_task(list(labels.values()), f"{prefix}labels")
    classes = tuple(map(str, range(count))) if raw.classes is None else class_names(raw.classes)
    return DatasetInfo(
        name=raw.name,
        title=raw.name,
        task=raw.task or inferred,
        classes=classes,
        channels=channels,
        licence=raw.licence,
        description=raw.description,
        sizes=(size,),
        n_samples={split: len(tensor) for split, tensor in images.items()},
    )
