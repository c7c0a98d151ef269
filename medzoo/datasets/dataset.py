"""A data set: its description and its splits."""

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
from medzoo.datasets.display.notebook import splits_card
from medzoo.datasets.info import SPLIT_NAMES, ClassNames, DatasetInfo, SplitName, Task
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.readers.array_labels import Labels, encode_labels
from medzoo.datasets.readers.folder import read_folder
from medzoo.datasets.readers.group import GroupColumn
from medzoo.datasets.readers.huggingface import read_huggingface
from medzoo.datasets.readers.read import ReadingOptions
from medzoo.datasets.readers.table import read_table
from medzoo.datasets.readers.text_table import TableSource
from medzoo.datasets.split import Split
from medzoo.errors import DatasetError
from medzoo.escape import for_display

if TYPE_CHECKING:
    from typing_extensions import Unpack

_STATISTICS_CHUNK = 1 << 24  # values; keeps memory-mapped data sets from being in memory at once
_ADVICE = {
    "train": "it can be evaluated, but not trained on: add the images that are missing",
    "val": "medzoo.train takes a part of train instead, and so does "
    "medzoo.datasets.hold_out_validation(data)",
    "test": "add the images that are missing, or evaluate on another split",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: its description and its splits, of which some may be missing.

    To read a missing split is a `DatasetError`; `splits` has those that there are.

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

    def __post_init__(self) -> None:
        for name in SPLIT_NAMES:
            if vars(self)[name] is None:
                del vars(self)[name]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Split:
            """Explain that a split is missing; called only for attributes that do not exist."""
            if name in SPLIT_NAMES and "info" in vars(self):
                advice = _ADVICE["train" if "train" not in self.splits else name]
                raise DatasetError(
                    f"{self.title} has no {name} split, only {' and '.join(self.splits)}; {advice}"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        counts = " / ".join(f"{len(split):,}" for split in self.splits.values())
        return (
            f"Dataset({for_display(self.title)}: {self.info.task}, "
            f"{self.info.num_classes} classes, {self.info.channels} x {self.size} x {self.size}, "
            f"{'/'.join(self.splits)} {counts})"
        )

    def _repr_html_(self) -> str:
        """What notebooks show: images per class and split, and one of each class."""
        size = f"{self.info.channels} x {self.size} x {self.size}"
        return splits_card(f"{self.title}: {self.info.task}, {size}", self.splits)

    @property
    def splits(self) -> dict[SplitName, Split]:
        """The splits that there are, by name."""
        return {name: vars(self)[name] for name in SPLIT_NAMES if name in vars(self)}

    @property
    def size(self) -> int:
        """Height (= width) of the images in pixels."""
        return next(iter(self.splits.values())).images.shape[-1]

    @property
    def official(self) -> bool:
        """Whether the images come from the official medmnist file."""
        return self.provenance.official

    @property
    def title(self) -> str:
        """Title of the data set; with its size and a note if they are not the usual ones."""
        return self.provenance.mark(self.info.title_at(self.size))

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
        train: tuple[Array, Labels] | None = None,
        val: tuple[Array, Labels] | None = None,
        test: tuple[Array, Labels] | None = None,
        *,
        name: str = "own",
        task: Task | None = None,
        classes: ClassNames | None = None,
        licence: str = "",
        description: str = "",
    ) -> Dataset:
        """Create a data set from arrays, each split given as ``(images, labels)``.

        Splits may be missing, but not all of them. Images are uint8 (N, H, W), (N, H, W, C) or
        (N, C, H, W) with 1 or 3 channels, square, and all of one size; labels are (N,) or (N, 1)
        class indices or names, or (N, L) zeros and ones. Both NumPy arrays and tensors are
        accepted, and lists and pandas objects of labels; memory is shared with arrays where the
        layout allows. If every image has a single 1, the labels are one-hot encoded classes,
        unless `task` is multi-label; a warning says so if no `task` is given. A label that is
        unknown, -1 or NaN, is left out of training and scores; only multi-label data sets may have
        unknown ones.

        Args:
            train: Training images and labels.
            val: Validation images and labels.
            test: Test images and labels.
            name: Short name of the data set, which is also its title.
            task: The task; by default inferred from the labels (ordinal-regression has to be
                given).
            classes: Class names in the order of the label values, or a mapping from these to the
                names; by default the names that occur, sorted (numbers by value), or in the order
                of an ordered Categorical; or ``"0"``, ``"1"``... Grades whose names are not
                numbers need an order. Classes without images are accepted only if names are given.
            licence: Licence of the images.
            description: What the images show.

        Raises:
            TypeError: If a split is not a pair of arrays, or `classes` is a single string.
            DatasetError: If the arrays do not have this form, or do not match each other, or a
                name means a missing label, or two names are spellings of one.
            ValueError: If no split is given, task, classes and labels contradict each other, or
                nothing says in which order grades are.
        """
        pairs: dict[SplitName, Any] = {"train": train, "val": val, "test": test}
        raw = RawDataset(
            {split: pair for split, pair in pairs.items() if pair is not None},
            Provenance(file=None, md5=None, official=False, note="own data"),
            name,
            task,
            classes,
            licence,
            description,
        )
        return build_dataset(encode_labels(raw))

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        classes: Sequence[str] | None = None,
        *,
        exclude: str | Sequence[str] = (),
        **options: Unpack[ReadingOptions],
    ) -> Dataset:
        """Read a folder of images, one sub-folder per class.

        The layout is ``folder/{train,val,test}/class/*.png``, ``folder/class/{train,val,test}/*``
        or ``folder/class/*.png``. Splits may also be called ``Training``, ``valid``, ``dev`` or
        the like, and some may be missing: if it is only val, a part of train becomes val. In the
        first and the last layout, images may be nested deeper in the folder of their class. What
        is not an image is left out, with one warning.

        Args:
            path: The folder.
            classes: The classes in their order; by default the names of the folders, sorted
                (numbers by value). Required for grades whose names are not numbers.
            exclude: Glob patterns of files and folders to leave out, at any depth, e.g.
                ``"*_mask.png"`` or ``["masks", "benign/*_2.png"]``.
            **options: Image size, how to split, and more; see
                `medzoo.datasets.ReadingOptions`.

        Raises:
            TypeError: If an option has the wrong type.
            ValueError: If an option has an invalid value, or grades are in no known order.
            DatasetError: If an image cannot be read or seems to be the mask of another one, a
                class folder or a split is empty, folders of splits and of classes are mixed, a
                class has no training images, or copies of one file are in two splits or classes.

        Warns:
            UserWarning: If files are left out, or a part of train becomes val.
        """
        return build_dataset(read_folder(path, classes, exclude=exclude, **options))

    @classmethod
    def from_table(
        cls,
        table: TableSource,
        classes: Sequence[str] | None = None,
        *,
        root: str | Path | Sequence[str | Path] | None = None,
        image: str | None = None,
        label: str | Sequence[str] | None = None,
        split: str | None = None,
        group: GroupColumn = None,
        delimiter: str | None = None,
        **options: Unpack[ReadingOptions],
    ) -> Dataset:
        """Read the images listed in a table: ``path,label[,split][,group]``.

        Names of columns may be written in any case. If a column could be meant in several ways,
        that is an error that asks for a choice.

        Args:
            table: A CSV file (UTF-8), or a pandas DataFrame, with one row per image.
            classes: The classes in their order; by default the names that occur, sorted (numbers
                by value), or in the order of an ordered Categorical. Grades whose names are not
                numbers need one of the two.
            root: Folder of the images, or several folders; by default the folder of the table (for
                a DataFrame, the current folder).
            image: Column of the images: paths relative to `root`, or names of files anywhere below
                it, with or without their ending (``ISIC_0024306``). By default ``"path"``, or the
                column with another usual name (``image_id``, ``Image Index``, ``file name``...).
            label: Column of the class names. If it contains lists of labels (``Mass|Effusion``;
                ``No Finding`` means none), the data set is multi-label, unless `task` says
                otherwise. Or several columns of zeros and ones, which also make it multi-label,
                unless each image has a single 1 (see `from_arrays`); an empty cell or -1 is an
                unknown label. By default ``"label"``, or the column with another usual name
                (``dx``, ``diagnosis``, ``Finding Labels``...), or all other columns if there is
                none.
            split: Column of train, val or test; by default ``"split"``, if there is one.
            group: Column of the patient, lesion or other group that an image belongs to; the
                images of a group are never in two splits. By default the column with such a name
                (``group``, ``patient_id``, ``Lesion``...), if there is one, which the provenance
                notes; False or an empty string for none.
            delimiter: The character between columns; by default a comma, semicolon or tab,
                whichever is in the header.
            **options: Image size, how to split, and more; see
                `medzoo.datasets.ReadingOptions`.

        Raises:
            TypeError: If `table` is not a path or a DataFrame, or an option has the wrong type.
            ValueError: If an option has an invalid value, or grades are in no known order.
            DatasetError: If the table or an image cannot be read, a column or an image could be
                meant in several ways, a split is empty, a class has no training images, or a group
                or copies of one file are in two splits.

        Example:
            >>> data = Dataset.from_table(  # doctest: +SKIP
            ...     "HAM10000_metadata.csv", image="image_id", label="dx", group="lesion_id"
            ... )
        """
        raw = read_table(
            table,
            classes,
            root=root,
            image=image,
            label=label,
            split=split,
            group=group,
            delimiter=delimiter,
            **options,
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
            classes: The classes in their order; by default those of the label column. Required for
                grades in alphabetical order, as ``class_encode_column`` sorts them.
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
    checked = next(iter(splits.values())).info
    train, val, test = map(splits.get, SPLIT_NAMES)
    return Dataset(checked, train, val, test, raw.provenance)  # type: ignore[arg-type]
