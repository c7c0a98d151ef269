"""A data set: its description and its three splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medzoo.datasets.arrays import Array
from medzoo.datasets.build import RawDataset, build_splits
from medzoo.datasets.info import SPLIT_NAMES, DatasetInfo, SplitName, Task
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.readers.folder import read_folder
from medzoo.datasets.readers.group import GroupColumn
from medzoo.datasets.readers.huggingface import read_huggingface
from medzoo.datasets.readers.read import ReadingOptions
from medzoo.datasets.readers.table import read_table
from medzoo.datasets.split import Split

if TYPE_CHECKING:
    from typing_extensions import Unpack

_STATISTICS_CHUNK = 1 << 24  # values; keeps memory-mapped data sets from being in memory at once


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: its description and its three splits.

    Attributes:
        info: Description: task, classes, channels and more.
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
        """Whether the images come from the official medmnist file."""
        return self.provenance.official

    @property
    def title(self) -> str:
        """Title of the data set, with a note if the images are not the official ones."""
        return self.provenance.mark(self.info.title)

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of each channel over the training split.

        Images are scaled to [0, 1]; the standard deviation is the population's (divided by N).
        Both are exact (sums of integers), and computed only once, chunk by chunk.

        Returns:
            Means and standard deviations, a tuple of C floats each.
        """
        return self._mean_std

    @cached_property
    def _mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        images = self.train.images
        channels = images.shape[1]
        histogram = torch.zeros(channels, 256, dtype=torch.int64)
        for chunk in self.train.chunks(max(1, _STATISTICS_CHUNK // images[0].numel())):
            for channel in range(channels):
                histogram[channel] += torch.bincount(chunk[:, channel].reshape(-1), minlength=256)
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
        """Create a data set from arrays, each split given as ``(images, labels)``.

        Images are uint8 (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, square, and
        all of one size; labels are (N,) or (N, 1) class indices, or (N, L) zeros and ones. Both
        NumPy arrays and tensors are accepted; memory is shared with them where the layout allows.
        If every image has a single 1, the labels are one-hot encoded classes, unless `task` is
        multi-label; a warning says so if no `task` is given. A label that is unknown, -1 or NaN,
        is left out of training and scores; only multi-label data sets may have unknown ones.

        Args:
            train: Training images and labels.
            val: Validation images and labels.
            test: Test images and labels.
            name: Short name of the data set, which is also its title.
            task: The task; by default inferred from the labels (ordinal-regression has to be
                given).
            classes: Class names in the order of the label values; by default ``"0"``, ``"1"``...
                Classes without images are accepted only if names are given.
            licence: Licence of the images.
            description: What the images show.

        Raises:
            TypeError: If a split is not a pair of arrays, or `classes` is a single string.
            DatasetError: If the arrays do not have this form, or do not match each other.
            ValueError: If task, classes and labels contradict each other.
        """
        raw = RawDataset(
            {"train": train, "val": val, "test": test},
            Provenance(file=None, md5=None, official=False, note="own data"),
            name,
            task,
            classes,
            licence,
            description,
        )
        return build_dataset(raw)

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        classes: Sequence[str] | None = None,
        **options: Unpack[ReadingOptions],
    ) -> Dataset:
        """Read a folder of images, one sub-folder per class.

        The layout is ``folder/{train,val,test}/class/*.png`` or ``folder/class/*.png``. Images may
        be nested deeper in the folder of their class.

        Args:
            path: The folder.
            classes: The classes in their order; by default the names of the folders, sorted.
            **options: Image size, how to split, and more; see
                `medzoo.datasets.ReadingOptions`.

        Raises:
            TypeError: If an option has the wrong type.
            ValueError: If an option has an invalid value.
            DatasetError: If an image cannot be read, a class folder or a split is empty, a class
                has no training images, or copies of one file are in two splits.
        """
        return build_dataset(read_folder(path, classes, **options))

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
        group: GroupColumn = None,
        **options: Unpack[ReadingOptions],
    ) -> Dataset:
        """Read the images listed in a CSV table: ``path,label[,split][,group]``.

        Args:
            path: The table, with one row per image.
            classes: The classes in their order; by default the names that occur, sorted.
            root: Folder that image paths are relative to; by default the folder of the table.
            image: Column of the image paths.
            label: Column of the class names; or several columns of zeros and ones, which makes
                the data set multi-label, unless each image has a single 1 (see `from_arrays`); an
                empty cell or -1 is an unknown label. By default ``"label"``, or all other columns
                if there is no such column.
            split: Column of train, val or test; by default ``"split"``, if there is one.
            group: Column of the patient, lesion or other group that an image belongs to; the
                images of a group are never in two splits. By default the column with such a name
                (``group``, ``patient_id``, ``Lesion``...), if there is one, which the provenance
                notes; False or an empty string for none.
            **options: Image size, how to split, and more; see
                `medzoo.datasets.ReadingOptions`.

        Raises:
            TypeError: If an option has the wrong type.
            ValueError: If an option has an invalid value.
            DatasetError: If the table or an image cannot be read, a split is empty, a class has no
                training images, or a group or copies of one file are in two splits.
        """
        raw = read_table(
            path, classes, root=root, image=image, label=label, split=split, group=group, **options
        )
        return build_dataset(raw)

    @classmethod
    def from_huggingface(
        cls,
        data: Any,
        classes: Sequence[str] | None = None,
        *,
        image: str | None = None,
        label: str | None = None,
        group: GroupColumn = None,
        **options: Unpack[ReadingOptions],
    ) -> Dataset:
        """Convert a data set of the Hugging Face package ``datasets``.

        Args:
            data: A ``datasets.DatasetDict`` with some or all of train, validation and test; or
                a ``datasets.Dataset``, which is split.
            classes: The classes in their order; by default those of the label column.
            image: Column of the images (``datasets.Image``); required if there are several.
            label: Column of the classes (``datasets.ClassLabel``, or a list of them, which makes
                the data set multi-label); required if there are several.
            group: Column of the patient, lesion or other group that an image belongs to; the
                images of a group are never in two splits. By default as for `from_table`.
            **options: Image size, how to split, and more; see
                `medzoo.datasets.ReadingOptions`.

        Raises:
            TypeError: If `data` is anything else, or an option has the wrong type.
            ValueError: If an option has an invalid value, or a column cannot be used.
            DatasetError: As for `from_table`.
        """
        raw = read_huggingface(data, classes, image=image, label=label, group=group, **options)
        return build_dataset(raw)


def build_dataset(raw: RawDataset, info: DatasetInfo | None = None) -> Dataset:
    """Check arrays and combine them into a data set.

    Args:
        raw: The arrays and what is known about them.
        info: Description of the data set that they have to match; if None, it is made from `raw`.

    Raises:
        TypeError: If a split is not a pair of arrays, or `classes` is a single string.
        DatasetError: If the arrays do not have the expected form, or do not match each other or
            `info`.
        ValueError: If task, classes and labels contradict each other.
    """
    splits = build_splits(raw, info)
    train, val, test = (splits[name] for name in SPLIT_NAMES)
    return Dataset(train.info, train, val, test, raw.provenance)
