"""Which image is in which split: as the source says or divided by seed, and checked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from medzoo.datasets.info import SPLIT_NAMES, SplitName
from medzoo.datasets.readers.labelled import LabelledImages
from medzoo.datasets.readers.stratify import stratified_group_split
from medzoo.errors import DatasetError

Rows: TypeAlias = "dict[SplitName, list[int]]"

_SHOWN = 3  # of many, in a message


def assign_splits(
    images: LabelledImages,
    digests: Sequence[str],
    fractions: tuple[float, float, float],
    seed: int,
) -> tuple[Rows, str]:
    """Return the rows of each split, in the order train, val, test, and how they came into it.

    Args:
        images: The images. If they say no splits, all are divided; if no val, train is.
        digests: What tells each file's content. Without groups, copies are one.
        fractions: Shares of train, val and test.
        seed: Of the division.

    Raises:
        DatasetError: If a class has too few images to be in each split.
    """
    shares = dict(zip(SPLIT_NAMES, fractions, strict=True))
    everything = range(len(images))
    if images.splits is None:
        rows: Rows = {split: [] for split in SPLIT_NAMES}
        divided, note = list(everything), f"own data; divided by seed {seed}"
    else:
        rows = {
            split: [row for row in everything if images.splits[row] == split]
            for split in SPLIT_NAMES
        }
        if rows["val"] or not rows["train"]:
            return rows, "own data"
        divided, note = rows["train"], f"own data; val out of train by seed {seed}"
        del shares["test"]
    rows |= {split: [] for split in shares}
    total = sum(shares.values())
    groups = [(images.groups or digests)[row] for row in divided]
    _check_divisible(images, divided, groups, list(shares))
    chosen = stratified_group_split(
        images.labels[divided], groups, {k: v / total for k, v in shares.items()}, seed
    )
    for row, split in zip(divided, chosen, strict=True):
        rows[split].append(row)
    return rows, note


def check_classes(images: LabelledImages, rows: Rows) -> None:
    """Refuse splits that nothing can be learnt from.

    Args:
        images: The images.
        rows: Those of each split.

    Raises:
        DatasetError: If a split is empty, there is one class only, or one has no image in train.
    """
    for split, own in rows.items():
        if not own:
            raise DatasetError(
                f"{images.source}: the {split} split has no images; each split needs at least one"
            )
    if images.labels.ndim == 1 and len(images.classes) < 2:
        raise DatasetError(
            f"{images.source}: there is one class only, {images.classes[0]!r}; a classifier needs "
            "at least two"
        )
    for number, name in enumerate(images.classes):
        if not images.has(number)[rows["train"]].any():
            raise DatasetError(
                f"{images.source}: class {name!r} has no image in train, so it cannot be learnt; "
                f"put some there, or leave the class out{_like(name, images)}"
            )


def check_apart(images: LabelledImages, rows: Rows, digests: Sequence[str]) -> None:
    """Refuse splits that share a group, or copies of a file.

    Args:
        images: The images.
        rows: Those of each split.
        digests: What tells each file's content.

    Raises:
        DatasetError: If they do; the message names the first.
    """
    if crossing := _crossing(rows, images.groups or ()):
        shown = "; ".join(f"{group!r} in {' and '.join(at)}" for group, at in crossing[:_SHOWN])
        raise DatasetError(
            f"{images.source}: {len(crossing):,} groups are in more than one split, so its figures "
            f"would say too much: {shown}. Correct the splits, or leave them out to have whole "
            "groups divided"
        )
    if crossing := _crossing(rows, digests):
        shown = "; ".join(
            " = ".join(f"{images.files[row]} ({split})" for split, row in at.items())
            for _, at in crossing[:_SHOWN]
        )
        raise DatasetError(
            f"{images.source}: {len(crossing):,} images are in more than one split, so its figures "
            f"would say too much: {shown}. Keep each in one split"
            + (", and copies in one group" if images.groups else "")
        )


def _check_divisible(
    images: LabelledImages, rows: Sequence[int], groups: Sequence[Hashable], splits: Sequence[str]
) -> None:
    """Refuse a class that cannot be in each split, which is also what a typing error looks like."""
    for number, name in enumerate(images.classes):
        has = images.has(number)[rows]
        found = len({group for group, one in zip(groups, has, strict=True) if one})
        if found < len(splits):
            what = "groups of images" if images.groups else "different images"
            raise DatasetError(
                f"{images.source}: class {name!r} has too few {what} ({found}) to divide among "
                f"{', '.join(splits)}; add some, or leave the class out{_like(name, images)}"
            )


def _like(name: str, images: LabelledImages) -> str:
    others = [other for other in images.classes if other != name]
    close = get_close_matches(name, others, n=1)
    return f" (or is {close[0]!r} meant?)" if close else ""


def _crossing(
    rows: Rows, keys: Sequence[Hashable]
) -> list[tuple[Hashable, Mapping[SplitName, int]]]:
    """Return the keys that are in several splits, and a row of each."""
    found: dict[Hashable, dict[SplitName, int]] = {}
    for split, own in rows.items():
        for row in own if keys else ():
            found.setdefault(keys[row], {}).setdefault(split, row)
    return [(key, at) for key, at in found.items() if len(at) > 1]
