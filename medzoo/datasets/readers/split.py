"""Assign images to splits, as the source specifies or at random, and check the splits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from medzoo.datasets.info import SPLIT_NAMES, SplitName
from medzoo.datasets.readers.labelled import LabelledImages
from medzoo.datasets.readers.stratify import stratified_group_split
from medzoo.errors import DatasetError, warn_caller

Rows: TypeAlias = "dict[SplitName, list[int]]"

_SHOWN = 3  # groups or images listed in an error message


def assign_splits(
    images: LabelledImages,
    digests: Sequence[str],
    fractions: tuple[float, float, float],
    seed: int,
) -> tuple[Rows, str]:
    """Assign each image to a split.

    Args:
        images: The images. If they have no splits, all of them are split at random. If there is
            train but no val, a part of train becomes val, if each class has enough images for it.
        digests: Digest of the content of each file. Without groups, copies stay together.
        fractions: Shares of train, val and test.
        seed: Random seed of the split.

    Returns:
        The rows of each split that there is, in the order train, val, test; and a note on how they
        were assigned.

    Raises:
        DatasetError: If images without splits have a class with too few images to be in each.

    Warns:
        UserWarning: If a part of train becomes val, or would but for a class with too few images.
    """
    shares = dict(zip(SPLIT_NAMES, fractions, strict=True))
    everything = range(len(images))
    if images.splits is None:
        rows: Rows = {split: [] for split in SPLIT_NAMES}
        unassigned, note = list(everything), f"own data; split with seed {seed}"
    else:
        given: Rows = {
            split: [row for row in everything if images.splits[row] == split]
            for split in SPLIT_NAMES
        }
        rows = {split: found for split, found in given.items() if found}
        if "val" in rows or "train" not in rows:
            return rows, "own data"
        unassigned, note = given["train"], f"own data; val split from train with seed {seed}"
        rows = {split: found for split, found in given.items() if found or split == "val"}
        del shares["test"]
    rows |= {split: [] for split in shares}
    total = sum(shares.values())
    groups = [(images.groups or digests)[row] for row in unassigned]
    try:
        _check_class_counts(images, unassigned, groups, list(shares))
    except DatasetError as error:
        if images.splits is None:
            raise
        # The other splits can still be used, e.g. to evaluate a model on test.
        warn_caller(f"{error}. Now there is no val split, which training needs")
        return {split: found for split, found in given.items() if found}, "own data"
    chosen = stratified_group_split(
        images.labels[unassigned], groups, {k: v / total for k, v in shares.items()}, seed
    )
    for row, split in zip(unassigned, chosen, strict=True):
        rows[split].append(row)
    if images.splits is not None:
        warn_caller(
            f"{images.source} has no val split, so {len(rows['val']):,} of {len(unassigned):,} "
            f"images of train become val (stratified, seed {seed})"
        )
    return rows, note


def check_classes(images: LabelledImages, rows: Rows) -> None:
    """Check that a model can be trained on the splits.

    Args:
        images: The images.
        rows: Rows of each split.

    Raises:
        DatasetError: If a split is empty, there is only one class, or there is a training split in
            which a class has no images.
    """
    for split, split_rows in rows.items():
        if not split_rows:
            raise DatasetError(
                f"{images.source}: the {split} split has no images; each split needs at least one"
            )
    if images.labels.ndim == 1 and len(images.classes) < 2:
        raise DatasetError(
            f"{images.source}: there is only one class, {images.classes[0]!r}; a classifier needs "
            "at least two; if images of the others are missing, list all classes with classes="
        )
    for number, name in enumerate(images.classes if "train" in rows else ()):
        if not images.has(number)[rows["train"]].any():
            raise DatasetError(
                f"{images.source}: class {name!r} has no images in train, so it cannot be learned; "
                f"add some, or leave the class out{_similar_class(name, images)}"
            )


def check_apart(images: LabelledImages, rows: Rows, digests: Sequence[str]) -> None:
    """Check that no group, and no copy of a file, is in two splits.

    Args:
        images: The images.
        rows: Rows of each split.
        digests: Digest of the content of each file.

    Raises:
        DatasetError: If one is; the message names the first ones.
    """
    if shared := _in_several_splits(rows, images.groups or ()):
        shown = "; ".join(f"{group!r} in {' and '.join(at)}" for group, at in shared[:_SHOWN])
        raise DatasetError(
            f"{images.source}: {len(shared):,} groups are in more than one split, which would "
            f"inflate test scores: {shown}. Correct the splits, or leave them out to have them "
            "assigned by group; group=False accepts them as they are"
        )
    if shared := _in_several_splits(rows, digests):
        shown = "; ".join(
            " = ".join(f"{images.files[row]} ({split})" for split, row in at.items())
            for _, at in shared[:_SHOWN]
        )
        raise DatasetError(
            f"{images.source}: {len(shared):,} images are in more than one split, which would "
            f"inflate test scores: {shown}. Keep each image in one split"
            + (", and copies in one group" if images.groups else "")
        )


def _check_class_counts(
    images: LabelledImages, rows: Sequence[int], groups: Sequence[Hashable], splits: Sequence[str]
) -> None:
    """Check that each class has enough images for all splits; a misspelt class has too few."""
    for number, name in enumerate(images.classes):
        has = images.has(number)[rows]
        found = len({group for group, one in zip(groups, has, strict=True) if one})
        if found < len(splits):
            what = "groups of images" if images.groups else "different images"
            raise DatasetError(
                f"{images.source}: class {name!r} has too few {what} ({found}) to be in each of "
                f"{', '.join(splits)}; add some, or leave the class out"
                f"{_similar_class(name, images)}"
            )


def _similar_class(name: str, images: LabelledImages) -> str:
    others = [other for other in images.classes if other != name]
    close = get_close_matches(name, others, n=1)
    return f" (or did you mean {close[0]!r}?)" if close else ""


def _in_several_splits(
    rows: Rows, keys: Sequence[Hashable]
) -> list[tuple[Hashable, Mapping[SplitName, int]]]:
    """Return the keys that occur in several splits, with one row for each of these splits."""
    found: dict[Hashable, dict[SplitName, int]] = {}
    for split, split_rows in rows.items():
        for row in split_rows if keys else ():
            found.setdefault(keys[row], {}).setdefault(split, row)
    return [(key, at) for key, at in found.items() if len(at) > 1]
