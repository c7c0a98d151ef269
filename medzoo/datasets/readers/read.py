"""Read labelled image files: assign splits, check them, decode the images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import SupportsIndex, TypedDict

import numpy as np

from medzoo.datasets.arrays import Array
from medzoo.datasets.build import RawDataset
from medzoo.datasets.info import SplitName, Task
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.readers.labelled import LabelledImages
from medzoo.datasets.readers.split import Rows, assign_splits, check_apart, check_classes
from medzoo.errors import DatasetError, unknown_name, warn_caller
from medzoo.images.batch import ImageFile, OnError, read_images

FRACTIONS = (0.7, 0.15, 0.15)

_MIN_SIZE = 4  # pixels; an axis of 1 or 3 would be mistaken for the channels
_SHOWN = 3  # errors listed in a warning


class ReadingOptions(TypedDict, total=False):
    """Options for reading images from a folder, a table or a Hub data set.

    Attributes:
        size: Height (= width) in pixels, 28 by default. Images are cropped to a centred square and
            resized, exactly as `medzoo.predict` does it.
        task: The task; by default inferred from the labels (ordinal-regression has to be given).
        fractions: Shares of train, val and test if the source has no splits, by default 0.7, 0.15
            and 0.15. Each class is split in these proportions; groups, and copies of a file, stay
            together. If the source has train but no val, a part of train becomes val.
        seed: Random seed of that split, 0 by default.
        on_error: What to do if an image cannot be read, or if copies of one file have different
            labels: ``"raise"`` (the default), or ``"skip"`` to leave these images out, with a
            warning and a note in the provenance.
        name: Short name of the data set, which is also its title; by default that of the source.
        licence: Licence of the images.
        description: What the images show.
        progress: Whether to show a progress bar; by default only on a terminal.
    """

    size: int
    task: Task | None
    fractions: tuple[float, float, float]
    seed: int
    on_error: OnError
    name: str | None
    licence: str
    description: str
    progress: bool | None


def read_labelled(
    images: LabelledImages,
    *,
    size: int = 28,
    task: Task | None = None,
    fractions: tuple[float, float, float] = FRACTIONS,
    seed: int = 0,
    on_error: OnError = "raise",
    name: str | None = None,
    licence: str = "",
    description: str = "",
    progress: bool | None = None,
) -> RawDataset:
    """Assign labelled images to splits if necessary, check them, and read them.

    Args:
        images: The image files with their labels.
        size: See `ReadingOptions`, as for all of the following.
        task: The task.
        fractions: Shares of train, val and test.
        seed: Random seed of the split.
        on_error: ``"raise"`` or ``"skip"``.
        name: Short name of the data set.
        licence: Licence of the images.
        description: What the images show.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option has an invalid value.
        DatasetError: If an image cannot be read, a split is empty, a class has no training images,
            a group or copies of one file are in two splits, or copies have different labels.
    """
    _check_options(size, fractions, on_error)
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_digest, images.files))
    images, digests, lost_copies = _without_unclear_copies(images, digests, on_error)
    rows, note = assign_splits(images, digests, fractions, seed)
    note += f"; {images.group_note}" if images.group_note else ""
    note += f"; {lost_copies}" if lost_copies else ""
    check_apart(images, rows, digests)
    check_classes(images, rows)
    order = [row for split_rows in rows.values() for row in split_rows]
    files = [images.files[row] for row in order]
    pixels, broken = read_images(files, size, on_error=on_error, progress=progress)
    if broken:
        first = "; ".join(str(error) for error in list(broken.values())[:_SHOWN])
        counts = f"{len(broken):,} of {len(order):,} images"
        warn_caller(f"{images.source}: {counts} cannot be read and are left out: {first}")
        note += f"; {counts} unreadable"
        lost = {order[place] for place in broken}
        rows = {
            split: [row for row in split_rows if row not in lost]
            for split, split_rows in rows.items()
        }
        pixels = pixels[[place for place in range(len(order)) if place not in broken]]
        check_classes(images, rows)
    arrays: dict[SplitName, tuple[Array, Array]] = {}
    for split, split_rows in rows.items():
        arrays[split] = pixels[: len(split_rows)], images.labels[split_rows]
        pixels = pixels[len(split_rows) :]
    return RawDataset(
        arrays,
        Provenance(images.source, _md5(images, rows, digests), official=False, note=note),
        name=name or images.source,
        task=task,
        classes=images.classes,
        licence=licence,
        description=description,
    )


def _check_options(size: int, fractions: tuple[float, float, float], on_error: OnError) -> None:
    if not isinstance(size, SupportsIndex):
        raise TypeError(f"size={size!r} must be a whole number of pixels, e.g. 28")
    if size < _MIN_SIZE:
        raise ValueError(f"size={size!r} must be at least {_MIN_SIZE} pixels")
    if on_error not in ("raise", "skip"):
        raise unknown_name("on_error", on_error, ("raise", "skip"))
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            f"fractions={fractions!r} must be three numbers above 0 that add up to 1: the shares "
            f"of train, val and test, e.g. {FRACTIONS}"
        )


def _digest(file: ImageFile) -> str:
    try:
        content = file.read_bytes()
    except OSError:
        content = b""
    if not content:  # not a copy of other such files; decoding will raise an error that names it
        return str(file)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _without_unclear_copies(
    images: LabelledImages, digests: list[str], on_error: OnError
) -> tuple[LabelledImages, list[str], str]:
    """Refuse or leave out copies of one file with different labels; return a note on them."""
    copies: dict[str, list[int]] = {}
    for row, digest in enumerate(digests):
        copies.setdefault(digest, []).append(row)
    unclear = {
        row: rows[
            (images.labels[rows] != images.labels[row]).reshape(len(rows), -1).any(1).argmax()
        ]
        for rows in map(np.array, copies.values())
        if len(rows) > 1 and (images.labels[rows] != images.labels[rows[0]]).any()
        for row in rows
    }
    if not unclear:
        return images, digests, ""
    shown = "; ".join(
        " = ".join(f"{images.files[row]} ({images.label_of(row)})" for row in pair)
        for pair in list(unclear.items())[:_SHOWN]
    )
    problem = f"{len(unclear):,} of {len(images):,} images have copies with other labels"
    if on_error == "raise":
        raise DatasetError(
            f"{images.source}: {problem}: {shown}. Keep each image in one class; "
            "on_error='skip' leaves all of these out"
        )
    warn_caller(f"{images.source}: {problem} and are left out: {shown}")
    kept = [row for row in range(len(images)) if row not in unclear]
    return images.take(kept), [digests[row] for row in kept], problem


def _md5(images: LabelledImages, rows: Rows, digests: Sequence[str]) -> str:
    """Return a digest that changes if any image, label or split changes."""
    total = hashlib.md5(repr(tuple(images.classes)).encode(), usedforsecurity=False)
    for split, split_rows in rows.items():
        for row in split_rows:
            total.update(f"{split} {digests[row]} {images.labels[row].tolist()}\n".encode())
    return total.hexdigest()
