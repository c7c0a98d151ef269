"""A data set in use: three splits of images and labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from medzoo.datasets.info import SPLIT_NAMES, DatasetInfo, SplitName, Task
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.storage.mmap import release_pages
from medzoo.datasets.validation import (
    Array,
    as_images,
    as_labels,
    check_numbering,
    fit_labels,
    infer_task,
)
from medzoo.errors import DatasetError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from medzoo.datasets.readers.read import ReadingOptions

_STATISTICS_CHUNK = 1 << 24  # values; keeps memory-mapped sets from being in memory at once


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split.

    Attributes:
        images: uint8 (N, C, H, W), channels last in memory; large sets are memory-mapped.
            Read only, please: the memory may be shared, and what is written into a memory-mapped
            set may be lost.
        labels: int64 (N,), or float32 (N, L) of zeros and ones if multi-label.
        info: The data set that it belongs to.
        name: ``"train"``, ``"val"`` or ``"test"``.
        provenance: Where the images came from.
    """

    images: Tensor
    labels: Tensor
    info: DatasetInfo
    name: SplitName
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = " x ".join(str(n) for n in self.images.shape)
        return f"Split({self.title}, {self.name}: {shape}, {self.info.task})"

    @property
    def title(self) -> str:
        """The data set's title, with a note if the images are not the official ones."""
        return self.provenance.mark(self.info.title)

    def subset(self, indices: Tensor | Sequence[int] | slice) -> Split:
        """Return some of the images; figures measured on them are marked as such.

        Args:
            indices: Positions, a boolean mask of length N, or a slice (which copies nothing).
        """
        chosen = indices if isinstance(indices, slice) else torch.as_tensor(indices)
        images = self.images[chosen].contiguous(memory_format=torch.channels_last)
        note = f"{len(images):,} of {len(self):,} {self.name} images"
        earlier = self.provenance.note
        provenance = replace(
            self.provenance, official=False, note=f"{earlier}; {note}" if earlier else note
        )
        return replace(self, images=images, labels=self.labels[chosen], provenance=provenance)

    def head(self, count: int) -> Split:
        """Return the first `count` images; see `subset`.

        Args:
            count: How many; all, if there are fewer.
        """
        return self.subset(slice(count))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: what it is, and its three splits.

    Attributes:
        info: What it is.
        train: Training split.
        val: Validation split.
        test: Test split.
        provenance: Where the images came from.
    """

    info: DatasetInfo
    train: Split
    val: Split
    test: Split
    provenance: Provenance

    def __repr__(self) -> str:
        counts = " / ".join(f"{len(split):,}" for split in self.splits.values())
        return (
            f"Dataset({self.title}: {self.info.task}, {self.info.num_classes} classes, "
            f"{self.info.channels} x {self.size} x {self.size}, train/val/test {counts})"
        )

    @property
    def splits(self) -> dict[SplitName, Split]:
        """The three splits by name."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def size(self) -> int:
        """Height (= width) of the images in pixels."""
        return self.train.images.shape[-1]

    @property
    def official(self) -> bool:
        """Whether this is medmnist's own file."""
        return self.provenance.official

    @property
    def title(self) -> str:
        """The title, with a note if the images are not the official ones."""
        return self.provenance.mark(self.info.title)

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of each channel over the training split.

        Of the images scaled to [0, 1]; the standard deviation is that of the whole population.
        Both are exact (integer sums) and computed once, piece by piece.

        Returns:
            Means and standard deviations, a tuple of C floats each.
        """
        return self._mean_std

    @cached_property
    def _mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        images = self.train.images
        channels = images.shape[1]
        histogram = torch.zeros(channels, 256, dtype=torch.int64)
        for chunk in images.split(max(1, _STATISTICS_CHUNK // images[0].numel())):
            for channel in range(channels):
                histogram[channel] += torch.bincount(chunk[:, channel].reshape(-1), minlength=256)
            release_pages(chunk.nbytes)
        means, stds = [], []
        for counts in histogram.tolist():
            n = sum(counts)
            first = sum(value * count for value, count in enumerate(counts))
            second = sum(value * value * count for value, count in enumerate(counts))
            means.append(first / n / 255)
            stds.append(math.sqrt(n * second - first * first) / n / 255)
        return tuple(means), tuple(stds)

    @classmethod
    def from_arrays(
        cls,
        train: tuple[Array, Array],
        val: tuple[Array, Array],
        test: tuple[Array, Array],
        *,
        name: str = "own",
        task: Task | None = None,
        classes: Sequence[str] | None = None,
        licence: str = "",
        description: str = "",
    ) -> Dataset:
        """Make a data set of your own arrays, each split as ``(images, labels)``.

        Images are uint8 (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, square, of
        one size; labels are (N,) or (N, 1) class indices, or (N, L) zeros and ones. NumPy arrays
        and tensors are both fine; memory is shared with them where their layout allows.

        Args:
            train: Training images and labels.
            val: Validation images and labels.
            test: Test images and labels.
            name: Short name of the set, which is also its title.
            task: The task; by default told from the labels (ordinal labels need to be said).
            classes: Class names in the order of the label values; by default ``"0"``, ``"1"``... Only
                classes with names may be without images.
            licence: Licence of the images.
            description: What they show.

        Raises:
            DatasetError: If arrays do not fit the form or each other.
            ValueError: If task, classes and labels do not fit each other.
        """
        return build_dataset(
            {"train": train, "val": val, "test": test},
            Provenance(file=None, md5=None, official=False, note="own data"),
            name=name,
            task=task,
            classes=classes,
            licence=licence,
            description=description,
        )

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        classes: Sequence[str] | None = None,
        **options: Unpack[ReadingOptions],
    ) -> Dataset:
        """Read a folder of images, ``folder/{train,val,test}/class/*.png`` or ``folder/class/*.png``.

        Args:
            path: The folder. Images may lie deeper in their class's folder.
            classes: The classes in their order; by default the names of the folders, sorted.
            **options: Size, division into splits, and more; see
                `medzoo.datasets.ReadingOptions`.

        Raises:
            ValueError: If an option does not fit.
            DatasetError: If an image cannot be read, a class folder is empty, a split has no
                images, a class has none in train, or copies of one file are in two splits.
        """
        from medzoo.datasets.readers.folder import read_folder

        return read_folder(path, classes, **options)

    @classmethod
    def from_table(
        cls,
        path: str | Path,
        classes: Sequence[str] | None = None,
        *,
        root: str | Path | None = None,
        image: str = "path",
        label: str | Sequence[str] | None = None,
        split: str | None = None,
        group: str | None = None,
        **options: Unpack[ReadingOptions],
    ) -> Dataset:
        """Read the images that a CSV table names: ``path,label[,split][,group]``.

        Args:
            path: The table, with a row an image.
            classes: The classes in their order; by default the names that occur, sorted.
            root: Folder that paths start from; by default the table's.
            image: Column of the paths.
            label: Column of the class names; or several columns of zeros and ones, which makes
                the set multi-label. By default ``"label"``, or without it all other columns.
            split: Column of train, val or test; by default ``"split"``, if there is one.
            group: Column of what belongs together (patient, lesion) and is never in two splits; by
                default ``"group"``, if there is one.
            **options: Size, division into splits, and more; see
                `medzoo.datasets.ReadingOptions`.

        Raises:
            ValueError: If an option does not fit.
            DatasetError: If the table or an image cannot be read, a split has no images, a class
                has none in train, or a group or copies of one file are in two splits.
        """
        from medzoo.datasets.readers.table import read_table

        return read_table(
            path, classes, root=root, image=image, label=label, split=split, group=group, **options
        )

    @classmethod
    def from_huggingface(
        cls,
        data: Any,
        classes: Sequence[str] | None = None,
        *,
        image: str | None = None,
        label: str | None = None,
        group: str | None = None,
        **options: Unpack[ReadingOptions],
    ) -> Dataset:
        """Read a data set of the Hugging Face package ``datasets``.

        Args:
            data: A ``datasets.DatasetDict`` with train, validation and test, or some of them; or
                a ``datasets.Dataset``, which is divided.
            classes: The classes in their order; by default those of the label column.
            image: Column of the images (``datasets.Image``); needed if there are several.
            label: Column of the classes (``datasets.ClassLabel``, or a list of them, which makes
                the set multi-label); needed if there are several.
            group: Column of what belongs together (patient, lesion) and is never in two splits.
            **options: Size, division into splits, and more; see
                `medzoo.datasets.ReadingOptions`.

        Raises:
            ValueError: If an option or a column does not fit.
            DatasetError: As `from_table`.
        """
        from medzoo.datasets.readers.huggingface import read_huggingface

        return read_huggingface(data, classes, image=image, label=label, group=group, **options)


def build_dataset(
    arrays: Mapping[SplitName, tuple[Array, Array]],
    provenance: Provenance,
    *,
    info: DatasetInfo | None = None,
    name: str = "own",
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    licence: str = "",
    description: str = "",
) -> Dataset:
    """Check arrays and put them together as a data set.

    Args:
        arrays: Images and labels of each split.
        provenance: Where they came from.
        info: What they are; if None, it is made from the other arguments and the arrays.
        name: As in `Dataset.from_arrays`; so are the following.
        task: The task.
        classes: Class names.
        licence: Licence of the images.
        description: What they show.

    Raises:
        DatasetError: If arrays do not fit the form, each other, or `info`.
        ValueError: If task, classes and labels do not fit each other.
    """
    prefix = f"{provenance.file}: " if provenance.file else ""
    for split in SPLIT_NAMES:
        if not isinstance(arrays[split], tuple | list) or len(arrays[split]) != 2:
            raise ValueError(f"{split}= must be a pair (images, labels)")
    images = {
        split: as_images(arrays[split][0], f"{prefix}{split} images") for split in SPLIT_NAMES
    }
    labels = {
        split: as_labels(arrays[split][1], len(images[split]), f"{prefix}{split} labels")
        for split in SPLIT_NAMES
    }
    shapes = {split: tuple(tensor.shape[1:]) for split, tensor in images.items()}
    if len(set(shapes.values())) > 1:
        raise DatasetError(
            f"{prefix}images of the splits differ in (channels, height, width): {shapes}; "
            "bring them all to one shape"
        )
    channels, size, _ = shapes["train"]
    unnamed = info is None and classes is None
    if info is None:
        inferred, count = infer_task(list(labels.values()), f"{prefix}labels")
        if isinstance(classes, str):
            raise ValueError(f"classes={classes!r} is one string; give a list of names")
        info = DatasetInfo(
            name=name,
            title=name,
            task=task or inferred,
            classes=tuple(classes) if classes is not None else tuple(map(str, range(count))),
            channels=channels,
            licence=licence,
            description=description,
            sizes=(size,),
            n_samples={split: len(tensor) for split, tensor in images.items()},
        )
    elif channels != info.channels:
        raise DatasetError(
            f"{prefix}images have {channels} channels, expected {info.channels} for {info.title}"
        )
    splits = {
        split: Split(
            images[split],
            fit_labels(labels[split], info, f"{prefix}{split} labels"),
            info,
            split,
            provenance,
        )
        for split in SPLIT_NAMES
    }
    if unnamed:
        check_numbering(list(labels.values()), f"{prefix}labels")
    return Dataset(info, splits["train"], splits["val"], splits["test"], provenance)


def check_dataset(name: str, value: object) -> None:
    """Make sure that an argument is a data set, and not the name of one.

    Args:
        name: Of the argument.
        value: What was given.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, Dataset):
        raise ValueError(
            f"{name}={value!r:.80} is no medzoo.Dataset; load one first: "
            "medzoo.load_dataset(...) or medzoo.Dataset.from_arrays(...)"
        )
