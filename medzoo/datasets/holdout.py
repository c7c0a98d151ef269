"""A validation split for data sets that have none: a part of the training split."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from medzoo.datasets.dataset import Dataset
from medzoo.datasets.info import SplitName
from medzoo.datasets.readers.read import FRACTIONS
from medzoo.datasets.readers.stratify import stratified_group_split
from medzoo.datasets.split import Split, as_positions
from medzoo.datasets.validation import check_dataset
from medzoo.errors import DatasetError

_CHUNK = 256  # images


def validation_rows(data: Dataset, seed: int = 0) -> Tensor:
    """Choose training images for a validation split: the same share of each class.

    As in folders and tables, val gets 15 images for each 70 in train, and identical images stay
    together. If photographs show the same patient, choose the images yourself.

    Args:
        data: A data set with a training split.
        seed: Random seed of the choice.

    Returns:
        Positions in ``data.train``, int64 (M,), in increasing order.

    Raises:
        TypeError: If `data` is not a `Dataset`.
        DatasetError: If there is no training split, or a class has too few different images to be
            in both splits.
    """
    check_dataset("data", data)
    train = data.train
    digests = image_digests(train)
    labels = (train.labels == 1).long() if data.info.multi_label else train.labels
    for number, name in enumerate(data.info.classes):
        has = labels[:, number] == 1 if labels.ndim == 2 else labels == number
        if len({digests[row] for row in has.nonzero()[:, 0].tolist()}) == 1:
            raise DatasetError(
                f"{data.title}: class {name!r} has only one image in train, so it cannot be in "
                "both train and val; add images, or a validation split"
            )
    shares: dict[SplitName, float] = dict(zip(("train", "val"), FRACTIONS, strict=False))
    shares = {split: share / sum(shares.values()) for split, share in shares.items()}
    chosen = stratified_group_split(labels.numpy(), digests, shares, seed)
    return torch.tensor([row for row, split in enumerate(chosen) if split == "val"])


def hold_out_validation(data: Dataset, rows: Tensor | None = None) -> Dataset:
    """Make a validation split from a part of the training split.

    Args:
        data: A data set with a training split and without a validation split.
        rows: Positions of the images in ``data.train`` that become the validation split; by
            default `validation_rows` chooses them with seed 0, as `medzoo.train` does.

    Returns:
        A data set with copies of these images. Its test split, if there is one, is unchanged.

    Raises:
        TypeError: If `data` is not a `Dataset`, or the rows are not positions.
        ValueError: If there is a validation split already, or one of the two would be empty.
        IndexError: If a row is out of range.
        DatasetError: As for `validation_rows`.
    """
    check_dataset("data", data)
    if "val" in data.splits:
        raise ValueError(f"{data.title} has a validation split; medzoo.datasets.resplit changes it")
    count = len(data.train)
    chosen = validation_rows(data) if rows is None else as_positions(rows, count)
    is_val = torch.zeros(count, dtype=torch.bool)
    is_val[chosen] = True
    if is_val.all():
        raise ValueError(f"rows are all {count:,} training images; some have to stay in train")
    how = "with seed 0" if rows is None else "by position"
    earlier = data.provenance.note
    note = f"val split from train {how}"
    note = f"{earlier}; {note}" if earlier else note
    provenance = replace(data.provenance, official=False, note=note)
    counts = {"train": int(count - is_val.sum()), "val": int(is_val.sum())}
    info = replace(data.info, n_samples={**data.info.n_samples, **counts}, mean=None, std=None)

    def part(split: Split, name: SplitName) -> Split:
        return replace(split, info=info, name=name, provenance=provenance)

    splits = {
        "train": part(data.train.subset(~is_val), "train"),
        "val": part(data.train.subset(is_val), "val"),
        "test": part(data.test, "test") if "test" in data.splits else None,
    }
    return Dataset(info, **splits, provenance=provenance)  # type: ignore[arg-type]


def image_digests(split: Split) -> list[str]:
    """Return a digest of each image of a split; identical images have the same.

    Args:
        split: The split.
    """
    return [_digest(image) for chunk in split.chunks(_CHUNK) for image in chunk]


def _digest(image: Tensor) -> str:
    return hashlib.md5(image.numpy().tobytes(), usedforsecurity=False).hexdigest()
