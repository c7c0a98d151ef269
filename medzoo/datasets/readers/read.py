"""Read labelled image files: assign splits, check them, decode the images."""

from __future__ import annotations

import hashlib
import operator
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from io import BytesIO
from numbers import Real
from pathlib import Path
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
_CHUNK = 1 << 20
_MAX_BYTES = 1 << 30  # of an image file; larger ones are not decoded
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


def check_names(options: ReadingOptions, reader: Callable[..., RawDataset]) -> None:
    """Check that options exist.

    Args:
        options: The options, by name.
        reader: The function that they were given to, as keywords besides its own ones.

    Raises:
        TypeError: If there is no option of that name.
    """
    known = {*ReadingOptions.__annotations__, *signature(reader).parameters} - {"options"}
    for name in options:
        if name not in ReadingOptions.__annotations__:
            raise TypeError(str(unknown_name("option", name, known)))


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
    _check_options(size, fractions, seed, on_error)
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
    _check_memory(images.source, len(files), size)
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


def _check_options(
    size: int, fractions: tuple[float, float, float], seed: int, on_error: OnError
) -> None:
    if not isinstance(size, SupportsIndex):
        raise TypeError(f"size={size!r} must be a whole number of pixels, e.g. 28")
    if size < _MIN_SIZE:
        raise ValueError(f"size={size!r} must be at least {_MIN_SIZE} pixels")
    if on_error not in ("raise", "skip"):
        raise unknown_name("on_error", on_error, ("raise", "skip"))
    if not isinstance(seed, SupportsIndex):
        raise TypeError(f"seed={seed!r:.80} must be a whole number, e.g. 0")
    if operator.index(seed) < 0:
        raise ValueError(f"seed={seed!r:.80} must not be negative")
    if not isinstance(fractions, Sequence) or not all(isinstance(f, Real) for f in fractions):
        raise TypeError(f"fractions={fractions!r:.80} must be three numbers, e.g. {FRACTIONS}")
    if len(fractions) != 3 or not min(fractions) > 0 or not abs(sum(fractions) - 1) < 1e-6:
        raise ValueError(
            f"fractions={fractions!r} must be three numbers above 0 that add up to 1: the shares "
            f"of train, val and test, e.g. {FRACTIONS}"
        )


def _check_memory(source: str, count: int, size: int) -> None:
    """Check that images can fit into memory, before it is allocated."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return
    if (needed := count * size * size) > memory:
        raise DatasetError(
            f"{source}: {count:,} images of {size} x {size} pixels take {needed / 1e9:,.1f} GB or "
            f"more, this machine has {memory / 1e9:,.1f} GB; choose a smaller size="
        )


def _digest(file: ImageFile) -> str:
    """Return a digest of a file; its name if it is empty, too large or unreadable.

    Such files are not copies of each other: decoding will raise an error that names them.
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0
    try:
        with file.open("rb") if isinstance(file, Path) else BytesIO(file.read_bytes()) as stream:
            while (chunk := stream.read(_CHUNK)) and size <= _MAX_BYTES:
                digest.update(chunk)
                size += len(chunk)
    except OSError:
        size = 0
    return digest.hexdigest() if 0 < size <= _MAX_BYTES else str(file)


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
