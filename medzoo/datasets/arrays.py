"""Convert image and label arrays of any source into the library's tensors, or raise one error."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from medzoo.datasets.info import DatasetInfo, SplitName, Task
from medzoo.errors import DatasetError
from medzoo.images.shape import check_dense

Array: TypeAlias = "np.ndarray[Any, Any] | Tensor"

CHANNELS = (1, 3)

UNKNOWN = -1
"""An unknown label in the integers of `as_labels`; in `Split.labels` it is NaN."""

_SHOWN = 3


def as_images(images: Array, where: str) -> Tensor:
    """Convert images into the library's layout, without a copy where possible.

    Args:
        images: uint8, of shape (N, H, W), (N, H, W, C) or (N, C, H, W), where C is 1 or 3. The
            axis of length 1 or 3 holds the channels; if both axes have such a length, an error
            is raised.
        where: Name of the array for messages.

    Returns:
        uint8 tensor (N, C, H, W), channels last in memory.

    Raises:
        TypeError: If it is neither an array nor a tensor.
        DatasetError: If the dtype or shape is not one of these, values are masked, or the array is
            empty or not dense.
    """
    check_unmasked(images, where, "fill it with the gray value of the background")
    tensor = _as_tensor(images, where)
    shape = tuple(tensor.shape)
    if tensor.dtype != torch.uint8:
        raise DatasetError(
            f"{where}: dtype is {_dtype_name(tensor)}, expected uint8; "
            "scale the images to 0..255 and convert them"
        )
    if tensor.ndim == 3:
        tensor = tensor.unsqueeze(1)
    elif tensor.ndim == 4 and (shape[1] in CHANNELS) != (shape[3] in CHANNELS):
        tensor = tensor if shape[1] in CHANNELS else tensor.permute(0, 3, 1, 2)
    else:
        raise DatasetError(
            f"{where}: shape is {shape}, expected (N, H, W), (N, H, W, C) or (N, C, H, W) "
            "with 1 or 3 channels"
        )
    if 0 in shape:
        raise DatasetError(f"{where}: shape is {shape}; at least one image is expected")
    if tensor.shape[2] != tensor.shape[3]:
        raise DatasetError(
            f"{where}: images are {tensor.shape[2]} x {tensor.shape[3]} pixels, expected square "
            "images; crop or pad them first"
        )
    return tensor.contiguous(memory_format=torch.channels_last)


def as_labels(labels: Array, count: int, where: str) -> Tensor:
    """Convert labels into an int64 tensor of shape (N,), or (N, L) if there are several columns.

    Args:
        labels: Integers, booleans, or floats with whole values; shape (N,), (N, 1) or (N, L).
            Unknown labels are -1 or NaN.
        count: Number of images that the labels belong to.
        where: Name of the array for messages.

    Returns:
        The labels; unknown ones are `UNKNOWN`.

    Raises:
        TypeError: If it is neither an array nor a tensor.
        DatasetError: If the dtype, the shape or a value is not one of these, or values are masked.
    """
    check_unmasked(labels, where)
    tensor = _as_tensor(labels, where)
    if tensor.ndim not in (1, 2) or 0 in tensor.shape[1:] or tensor.is_complex():
        raise DatasetError(
            f"{where}: shape is {tuple(tensor.shape)} of {_dtype_name(tensor)}, "
            "expected whole numbers of shape (N,), (N, 1) or (N, labels)"
        )
    if len(tensor) != count:
        raise DatasetError(
            f"{where}: {len(tensor):,} labels for {count:,} images; expected one label per image"
        )
    if tensor.is_floating_point():
        if tensor.itemsize == 1:
            raise DatasetError(
                f"{where}: dtype is {_dtype_name(tensor)}, which cannot hold every whole number "
                "above 16; give integers"
            )
        tensor = tensor.masked_fill(tensor.isnan(), UNKNOWN)
    whole = tensor.to(torch.int64)
    if tensor.dtype == torch.uint64 and (whole < 0).any():  # PyTorch wraps these numbers around
        raise DatasetError(
            f"{where}: values go up to {max(tensor.reshape(-1).tolist()):,}, expected class "
            "indices 0, 1, 2...; write unknown labels as -1, in signed integers"
        )
    if tensor.is_floating_point() and not torch.equal(whole.to(tensor.dtype), tensor):
        raise DatasetError(f"{where}: values are not whole numbers; class indices are expected")
    return whole.squeeze(1) if whole.ndim == 2 and whole.shape[1] == 1 else whole


def check_unmasked(values: object, where: str, fill: str = "fill it with -1 or NaN") -> None:
    """Check that an array does not hide values behind a mask, which conversion would reveal.

    Args:
        values: The array; anything other than a masked array passes.
        where: Name of the array for messages.
        fill: How to replace the masked values.

    Raises:
        DatasetError: If a value is masked.
    """
    if isinstance(values, np.ma.MaskedArray) and (count := int(np.ma.getmaskarray(values).sum())):
        raise DatasetError(
            f"{where}: {count:,} of {values.size:,} values are masked, and masks are not read; "
            f"{fill}, or drop these images"
        )


def infer_task(labels: Sequence[Tensor], where: str) -> tuple[Task, int]:
    """Infer the task and the number of classes from the labels of all splits.

    Several columns mean multi-label. A single column that contains only 0 and 1 is binary, and
    multi-class if it contains more values. Ordinal labels cannot be distinguished from classes,
    so that task has to be given explicitly.

    Args:
        labels: Labels of each split, as `as_labels` returns them.
        where: Name of the arrays for messages.

    Raises:
        DatasetError: If the values cannot be class indices.
    """
    if labels[0].ndim == 2:
        return "multi-label, binary-class", labels[0].shape[1]
    count = int(max(values.max() for values in labels)) + 1
    if count > sum(map(len, labels)):
        raise DatasetError(
            f"{where}: values go up to {count - 1:,}, which is more than there are images; "
            "class indices 0, 1, 2... are expected"
        )
    return ("binary-class" if count == 2 else "multi-class"), count


def is_one_hot(labels: Sequence[Tensor]) -> bool:
    """Return whether labels are class indices written as columns of zeros and ones.

    Args:
        labels: Labels of each split, as `as_labels` returns them.

    Returns:
        Whether there are several columns, and every row of every split has a single 1.
    """
    return all(
        values.ndim == 2
        and len(values) > 0
        and bool(((values == 0) | (values == 1)).all())
        and bool((values.sum(1) == 1).all())
        for values in labels
    )


def check_unknown(labels: Mapping[SplitName, Tensor], task: Task | None, prefix: str) -> None:
    """Check that only labels of multi-label tasks are unknown.

    Args:
        labels: Labels of each split, as `as_labels` returns them.
        task: The task; None if it is to be inferred.
        prefix: Beginning of messages: the file that the labels are from.

    Raises:
        DatasetError: If a class is unknown, or the labels could be read in two ways.
    """
    columns = [values.reshape(len(values), -1) for values in labels.values()]
    if len({values.shape[1] for values in columns}) > 1:
        return  # `fit_labels` says so
    joined = torch.cat(columns)
    unknown = joined == UNKNOWN
    if not unknown.any():
        return
    multi_label = task == "multi-label, binary-class"
    if not multi_label and (task is not None or joined.shape[1] == 1):
        for split, values in labels.items():
            rows = (values.reshape(len(values), -1) == UNKNOWN).any(1).nonzero()[:, 0].tolist()
            if rows:
                first = ", ".join(map(str, rows[:_SHOWN])) + (", ..." if rows[_SHOWN:] else "")
                raise DatasetError(
                    f"{prefix}{split} labels: the class of {len(rows):,} of {len(values):,} images "
                    f"is unknown (-1 or NaN; positions {first}); drop these images. Only labels "
                    "of task='multi-label, binary-class' may be unknown"
                )
    if (joined == 1).any() and not (joined == 0).any():
        raise DatasetError(
            f"{prefix}labels: every label is either 1 or unknown (-1 or NaN), none is 0; write 0 "
            "for a label that an image is known not to have"
        )
    empty = unknown.all(1)
    if not multi_label and empty.any() and is_one_hot([joined[~empty]]):
        raise DatasetError(
            f"{prefix}labels: {int(empty.sum()):,} images have only unknown labels, and each other "
            f"image has exactly one of {joined.shape[1]}; drop these images if the columns are "
            "one-hot encoded classes, or give task='multi-label, binary-class' if an image can "
            "have several labels"
        )


def fit_labels(labels: Tensor, info: DatasetInfo, where: str) -> Tensor:
    """Check labels against the classes of a data set and convert them to their final dtype.

    Args:
        labels: Labels of one split, as `as_labels` returns them.
        info: Description of the data set.
        where: Name of the array for messages.

    Returns:
        float32 (N, L) of zeros, ones and NaN (unknown) if multi-label, else int64 (N,).

    Raises:
        DatasetError: If the shape or a value does not match the task and classes.
    """
    if info.multi_label:
        columns = labels.unsqueeze(1) if labels.ndim == 1 else labels
        if columns.shape[1] != info.num_classes:
            raise DatasetError(
                f"{where}: {columns.shape[1]} columns, expected one for each of the "
                f"{info.num_classes} labels of {info.name}"
            )
        unknown, highest = columns == UNKNOWN, 1
        labels = columns.to(torch.float32).masked_fill(unknown, torch.nan)
        columns = columns.masked_fill(unknown, 0)
    elif labels.ndim == 2:
        raise DatasetError(
            f"{where}: shape is {tuple(labels.shape)}, expected one class index per image for "
            f"the {info.task!r} data set {info.name}"
        )
    else:
        columns, highest = labels, info.num_classes - 1
    low, high = int(columns.min()), int(columns.max())
    if low < 0 or high > highest:
        raise DatasetError(
            f"{where}: values go from {low} to {high}, expected 0 to {highest} "
            f"({info.task}, {info.num_classes} classes)"
        )
    return labels


def check_numbering(labels: Sequence[Tensor], where: str) -> None:
    """Check that every class has images where class names were not given.

    The number of classes is then inferred from the highest label, so a gap in the numbering
    would silently add a class without images.

    Args:
        labels: Class indices of all splits, (N,) each; multi-label columns are not checked.
        where: Name of the arrays for messages.

    Raises:
        DatasetError: If a number below the highest does not occur in any split.
    """
    if labels[0].ndim == 2:
        return
    used = set(torch.cat(list(labels)).tolist())
    if missing := sorted(set(range(max(used))) - used):
        raise DatasetError(
            f"{where}: no image has the label {missing[0]}, but some have {max(used)}; number the "
            "classes 0, 1, 2... without a gap, or name all of them with classes="
        )


def _as_tensor(array: Array, where: str) -> Tensor:
    if isinstance(array, Tensor):
        try:
            check_dense(array, "it")
        except ValueError as error:
            raise DatasetError(f"{where}: {error}") from error
        return array.detach().cpu()
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{where}: got {type(array).__name__}, expected a NumPy array or a tensor; resize "
            "images of different sizes to one size and stack them first"
        )
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise DatasetError(
            f"{where}: dtype is {array.dtype}, expected numbers of at most 64 bits; encode "
            "class names as indices, and resize images of different sizes to one size first"
        )
    native = np.asarray(array).astype(array.dtype.newbyteorder("="), copy=False)
    if any(stride < 0 for stride in native.strides):
        native = native.copy()
    with warnings.catch_warnings():
        # Read-only arrays are fine, because the library never writes into a split.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(native)


def _dtype_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
