"""From image files with labels to a data set: divided, checked, read."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import SupportsIndex, TypedDict

from medzoo.datasets.dataset import Dataset, build_dataset
from medzoo.datasets.info import Task
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.readers.labelled import LabelledImages
from medzoo.datasets.readers.split import Rows, assign_splits, check_apart, check_classes
from medzoo.errors import unknown_name
from medzoo.images.batch import ImageFile, OnError, read_images

FRACTIONS = (0.7, 0.15, 0.15)

_SMALLEST = 4  # pixels; an axis of 1 or 3 would be taken for the channels
_SHOWN = 3  # errors in a warning about many


class ReadingOptions(TypedDict, total=False):
    """How images of your own are read, from wherever.

    Attributes:
        size: Height (= width) in pixels, 28 by default. The centre is cropped to the shorter side and
            resized, just as `medzoo.predict` does it.
        task: The task; by default told from the labels (ordinal labels need to be said).
        fractions: Shares of train, val and test where the source does not say the splits, by
            default 0.7, 0.15 and 0.15. Each class is divided in these proportions, groups and
            copies of a file stay together. A source with train and test only gives a part of
            train to val.
        seed: Of that division, 0 by default.
        on_error: ``"raise"`` (the default) if an image cannot be read; or ``"skip"``, which leaves
            it out, with one warning and a note in the provenance.
        name: Short name of the set, which is also its title; by default that of the source.
        licence: Licence of the images.
        description: What they show.
        progress: Show a progress bar; by default only on a terminal.
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
) -> Dataset:
    """Divide labelled images if need be, check them, and read them; see `ReadingOptions`.

    Raises:
        ValueError: If an option does not fit.
        DatasetError: If an image cannot be read, a split has no images, a class has none in train,
            or a group or copies of one file are in two splits.
    """
    if not (isinstance(size, SupportsIndex) and size >= _SMALLEST):
        raise ValueError(f"size={size!r} must be a whole number of at least {_SMALLEST} pixels")
    if on_error not in ("raise", "skip"):
        raise unknown_name("on_error", on_error, ("raise", "skip"))
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            f"fractions={fractions!r} must be three numbers above 0 that add up to 1: the shares of "
            f"train, val and test, e.g. {FRACTIONS}"
        )
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_digest, images.files))
    rows, note = assign_splits(images, digests, fractions, seed)
    check_apart(images, rows, digests)
    check_classes(images, rows)
    order = [row for own in rows.values() for row in own]
    files = [images.files[row] for row in order]
    pixels, broken = read_images(files, size, on_error=on_error, progress=progress)
    if broken:
        first = "; ".join(str(error) for error in list(broken.values())[:_SHOWN])
        counts = f"{len(broken):,} of {len(order):,} images"
        # The caller of `Dataset.from_...`.
        warnings.warn(
            f"{images.source}: {counts} are left out, as they cannot be read: {first}",
            stacklevel=4,
        )
        note += f"; {counts} unreadable"
        lost = {order[place] for place in broken}
        rows = {split: [row for row in own if row not in lost] for split, own in rows.items()}
        pixels = pixels[[place for place in range(len(order)) if place not in broken]]
        check_classes(images, rows)
    arrays = {}
    for split, own in rows.items():
        arrays[split] = pixels[: len(own)], images.labels[own]
        pixels = pixels[len(own) :]
    return build_dataset(
        arrays,
        Provenance(images.source, _md5(images, rows, digests), official=False, note=note),
        name=name or images.source.removesuffix(".csv"),
        task=task,
        classes=images.classes,
        licence=licence,
        description=description,
    )


def _digest(file: ImageFile) -> str:
    try:
        return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return str(file)  # reading it will tell what is wrong


def _md5(images: LabelledImages, rows: Rows, digests: Sequence[str]) -> str:
    """Return what is the same only if images, labels and splits all are."""
    total = hashlib.md5(repr(tuple(images.classes)).encode(), usedforsecurity=False)
    for split, own in rows.items():
        for row in own:
            total.update(f"{split} {digests[row]} {images.labels[row].tolist()}\n".encode())
    return total.hexdigest()
