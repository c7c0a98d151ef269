"""What the trials of a search are trained and validated on; never the test split."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from medzoo.datasets import Dataset, Split, hold_out_validation
from medzoo.datasets.holdout import image_digests
from medzoo.datasets.readers.stratify import stratified_group_split
from medzoo.datasets.resplit import checked_groups
from medzoo.datasets.storage.gather import gather_rows
from medzoo.errors import DatasetError
from medzoo.spec.checks import check_whole
from medzoo.training.checks.run import check_validation
from medzoo.training.validation_split import ensure_validation

if TYPE_CHECKING:
    from medzoo.datasets.info import SplitName

_SEED = 0  # the same folds for every trial, whatever the seed of the search


def validation_parts(
    data: Dataset, folds: int, groups: Sequence[Hashable] | np.ndarray | Tensor | None = None
) -> list[Dataset]:
    """Return the data sets that each trial is trained on, without test splits.

    Args:
        data: The data set.
        folds: 1 for its own validation split. Or the number of parts into which training and
            validation images are divided, each of which is the validation split once.
        groups: Patient or lesion of each training and then each validation image; the images of a
            group stay in one part, as identical images do without groups.

    Raises:
        TypeError: If `folds` is not a whole number, or `groups` not a sequence.
        ValueError: If the number of folds or groups does not fit, an image has no group, or the
            images of the validation split are all of one class.
        DatasetError: If a class has too few images for so many folds, or the split was made by
            groups that are not given.
    """
    check_whole("folds", folds, 1, 100)
    if folds == 1:
        if groups is not None:
            raise ValueError("groups= is for folds=; the validation split is what it is")
        data, _ = ensure_validation(data, None)
        check_validation(data.val)
        return [_without_test(data, data.train, data.val)]
    pool = _pool(data)
    if groups is None and "grouped by" in data.provenance.note:
        raise DatasetError(
            f"{data.title} ({data.provenance.note}): folds={folds} would put images of one group "
            "into several folds, and scores would be too good; give groups=, or folds=1"
        )
    sizes: dict[str, int] = {
        name: len(split) for name, split in data.splits.items() if name != "test"
    }
    keys = image_digests(pool.train) if groups is None else checked_groups(groups, sizes)
    labels = pool.train.labels
    classes = (labels == 1).long() if pool.info.multi_label else labels
    shares = cast("Mapping[SplitName, float]", {str(fold): 1 / folds for fold in range(folds)})
    chosen = stratified_group_split(classes.numpy(), keys, shares, _SEED)
    parts = []
    for fold in shares:
        is_val = torch.tensor([one == fold for one in chosen])
        _check_classes(pool, classes, is_val, folds)
        parts.append(hold_out_validation(pool, is_val.nonzero()[:, 0]))
    return parts


def _without_test(data: Dataset, train: Split, val: Split | None) -> Dataset:
    return Dataset(data.info, train, val, None, data.provenance)  # type: ignore[arg-type]


def _pool(data: Dataset) -> Dataset:
    """Return a data set whose training split holds the validation images, too."""
    if "val" not in data.splits:
        return _without_test(data, data.train, None)
    splits = [data.train, data.val]
    count = sum(map(len, splits))
    images = gather_rows([split.images for split in splits], torch.arange(count))
    labels = torch.cat([split.labels for split in splits])
    return _without_test(data, replace(data.train, images=images, labels=labels), None)


def _check_classes(pool: Dataset, classes: Tensor, is_val: Tensor, folds: int) -> None:
    """Check that a fold has images to learn each class from, and to choose by."""
    for number, name in enumerate(pool.info.classes):
        has = classes[:, number] == 1 if classes.ndim == 2 else classes == number
        if has.any() and not (has & ~is_val).any():
            raise DatasetError(
                f"{pool.title}: class {name!r} has too few images or groups for folds={folds}, "
                "since one fold would have to be trained without it; give fewer folds"
            )
    if not (classes[is_val] != classes[is_val][:1]).any():
        raise DatasetError(
            f"{pool.title} has too few images or groups for folds={folds}, since those of one fold "
            "would be of one class, or none; give fewer folds"
        )
