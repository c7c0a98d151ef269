"""Read a folder of images whose sub-folders are the classes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medzoo.datasets.build import RawDataset
from medzoo.datasets.info import SplitName, class_names
from medzoo.datasets.names.splits import find_split, resembles_split
from medzoo.datasets.readers.labelled import LabelledImages, UnorderedGradesError, class_indices
from medzoo.datasets.readers.read import ReadingOptions, check_names, read_labelled
from medzoo.datasets.readers.text_table import TABLES
from medzoo.datasets.source import given_path
from medzoo.errors import DatasetError
from medzoo.images.discover import (
    OTHER,
    Kind,
    describe_left_out,
    find_images,
    is_hidden,
    kind_of_file,
    warn_left_out,
)
from medzoo.images.exclude import Exclude
from medzoo.images.file import is_image
from medzoo.images.masks import check_masks

if TYPE_CHECKING:
    from typing_extensions import Unpack

_OUTPUT = Kind("output of medzoo train")
_OUTPUT_FILES = ("models/*.safetensors", "metrics/*.jsonl")
_SHOWN = 5  # names listed in an error message
_TABLE = "or list the images in a table (Dataset.from_table)"


def read_folder(
    path: str | Path,
    classes: Sequence[str] | None = None,
    *,
    exclude: str | Sequence[str] = (),
    **options: Unpack[ReadingOptions],
) -> RawDataset:
    """Read a folder of images; see `Dataset.from_folder`.

    Args:
        path: The folder.
        classes: The classes in their order; by default the names of the folders, sorted. Required
            for grades that are not numbers.
        exclude: Glob patterns of files and folders to leave out; see `Exclude`.
        **options: See `ReadingOptions`.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option has an invalid value, or grades have no order.
        DatasetError: If the folder does not have the expected layout, or contains masks of images;
            and as for `read_labelled`.
    """
    check_names(options, read_folder)
    root = given_path("path", path)
    if not root.is_dir():
        raise DatasetError(
            f"{root} is not a folder; give a folder that has a sub-folder for each class"
        )
    classes = None if classes is None else class_names(classes)
    given = frozenset(classes or ())
    folder = _Folder(root, Exclude(root, exclude), given)
    try:
        found = [
            (file, part) for part in folder.class_folders() for file in folder.images(part.folder)
        ]
        own = [part.label for _, part in found]
        labels, names = class_indices(own, classes, options.get("task"))
        if len(names) == 1 and _table_hint(root):
            raise DatasetError(f"{root}: all images are in one folder, {names[0]}")
    except UnorderedGradesError:
        raise  # the folder may be right, an argument is missing
    except (DatasetError, ValueError) as error:
        message = str(error) if isinstance(error, DatasetError) else f"{root}: {error}"
        raise DatasetError(message + _table_hint(root)) from error
    folder.exclude.check_used()
    files = [file for file, _ in found]
    check_masks(root, files, given)
    warn_left_out(folder.left_out, root)
    splits = [part.split for _, part in found if part.split]
    source = root.resolve().name
    return read_labelled(LabelledImages(source, files, labels, names, splits or None), **options)


def _is_training_output(folder: Path) -> bool:
    """Return whether a folder is the output of a run, or contains only such folders."""
    inner = [path for path in folder.iterdir() if path.is_dir()]
    return _is_run(folder) or (bool(inner) and all(map(_is_run, inner)))


def _is_run(folder: Path) -> bool:
    """Return whether a folder has files of a run, and no images beside them."""
    written = any(True for pattern in _OUTPUT_FILES for _ in folder.glob(pattern))
    return written and not any(path.is_file() and is_image(path) for path in folder.iterdir())


def _table_hint(root: Path) -> str:
    """Return what to do if a folder without the layout contains a table, which may list images."""
    with suppress(OSError):
        tables = sorted(path for path in root.iterdir() if path.suffix.lower() in TABLES)
        if tables:
            return (
                f". If {tables[0].name} lists the images and their classes, give that file instead "
                f"of the folder: load_dataset({str(tables[0])!r}), or --data {tables[0]}"
            )
    return ""


class _ClassFolder(NamedTuple):
    """A folder with the images of one class in one split (None, if there are no splits)."""

    label: str
    split: SplitName | None
    folder: Path


class _Folder:
    """The root folder of a data set.

    Args:
        root: The folder.
        exclude: What to ignore in it.
        classes: Names of folders that are classes, even if they resemble splits.

    Attributes:
        left_out: What has been found so far that is not an image.
    """

    def __init__(self, root: Path, exclude: Exclude, classes: Collection[str]) -> None:
        self.root = root
        self.exclude = exclude
        self.classes = classes
        self.left_out: dict[Path, Kind] = {}

    def class_folders(self) -> list[_ClassFolder]:
        """Return the folder of each class, in each split."""
        folders = self._subfolders(self.root)
        self._refuse_loose_images(self.root, "class")
        if any(map(self._split_of, folders)):
            return [
                _ClassFolder(folder.name, split, folder)
                for split, parent in self._as_splits(folders, self.root).items()
                for folder in self._as_classes(parent)
            ]
        labels = self._as_classes(self.root)
        inside = {label: self._subfolders(label) for label in labels}
        if not any(self._split_of(folder) for found in inside.values() for folder in found):
            return [_ClassFolder(label.name, None, label) for label in labels]
        if len(labels) == 1:
            raise DatasetError(
                f"{labels[0]} contains the splits; give this folder, not {self.root}"
            )
        parts = []
        for label, found in inside.items():
            self._refuse_loose_images(label, "split")
            for split, folder in self._as_splits(found, label).items():
                if deeper := self._subfolders(folder):
                    raise DatasetError(
                        f"{deeper[0]} is inside the split {folder.name} of {label.name}, so either "
                        "could be its class; use the layout folder/{train,val,test}/class"
                    )
                parts.append(_ClassFolder(label.name, split, folder))
        return parts

    def images(self, folder: Path) -> list[Path]:
        """Return the images in the folder of a class, which must not contain splits."""
        images, left_out = find_images(folder, self.exclude)
        self.left_out |= left_out
        if not images:
            others = f" ({describe_left_out(left_out, folder)})" if left_out else ""
            raise DatasetError(
                f"the class folder {folder} contains no images{others}; add some or remove it"
            )
        for parent in sorted({image.parent for image in images}):
            inner = parent.relative_to(folder).parts
            if any(map(resembles_split, inner)):
                raise DatasetError(
                    f"{parent} seems to be a split or fold inside of the class {folder.name}; use "
                    "the layout folder/{train,val,test}/class, rename it, leave it out with "
                    f"exclude=, {_TABLE}"
                )
        return images

    def _split_of(self, folder: Path) -> SplitName | None:
        return None if folder.name in self.classes else find_split(folder.name)

    def _as_splits(self, folders: Sequence[Path], parent: Path) -> dict[SplitName, Path]:
        """Return the folder of each split; refuse folders that are not splits."""
        found: dict[SplitName, Path] = {}
        others = [folder.name for folder in folders if not self._split_of(folder)]
        if others or not folders:
            among = ", ".join(others[:_SHOWN]) if others else "no folder of a split"
            raise DatasetError(
                f"{self.root} has folders of splits (train, val, test), but {parent} contains "
                f"{among}; all of its folders have to be splits: move the others, or leave them "
                "out with exclude=. If names like train or test are classes, list all classes "
                "with classes="
            )
        for folder in folders:
            split = find_split(folder.name)
            assert split is not None
            if first := found.get(split):
                raise DatasetError(
                    f"{first} and {folder} both stand for the split {split}; put their images "
                    "into one of them, or leave one out with exclude="
                )
            found[split] = folder
        return found

    def _as_classes(self, parent: Path) -> list[Path]:
        """Return the folders of classes; refuse folders that seem to be splits or folds."""
        if parent != self.root:
            self._refuse_loose_images(parent, "class")
        folders = self._subfolders(parent)
        if not folders:
            raise DatasetError(
                f"{parent} has no sub-folders; expected one for each class"
                + (f" ({describe_left_out(self.left_out, parent)})" if self.left_out else "")
            )
        names = [folder.name for folder in folders if folder.name not in self.classes]
        words = {name: set(map(find_split, re.split(r"[\W_]+", name))) - {None} for name in names}
        similar = [name for name in names if resembles_split(name)]
        if len(set().union(*words.values())) > 1:  # train_benign, test_benign, ...
            similar = [name for name in names if words[name]]
        if similar:
            raise DatasetError(
                f"{parent} has folders that seem to be splits or folds, not classes: "
                f"{', '.join(similar[:_SHOWN])}; name them train, val and test, with the classes "
                f"inside, {_TABLE} with a column split. If they are classes, list all classes "
                "with classes="
            )
        return folders

    def _subfolders(self, parent: Path) -> list[Path]:
        return sorted(path for path in self._visible(parent) if path.is_dir())

    def _visible(self, parent: Path) -> list[Path]:
        try:
            entries = list(parent.iterdir())
        except OSError as error:
            raise DatasetError(f"{parent} cannot be opened: {error}") from error
        visible = [path for path in entries if not (is_hidden(path.name) or self.exclude(path))]
        with suppress(OSError):  # searching a folder that cannot be opened says so
            written = {path for path in visible if path.is_dir() and _is_training_output(path)}
            self.left_out |= dict.fromkeys(written, _OUTPUT)
            return [path for path in visible if path not in written]
        return visible

    def _refuse_loose_images(self, parent: Path, kind: str) -> None:
        """Check that all images are in sub-folders; documents beside these are no problem."""
        loose = {p: kind_of_file(p) for p in self._visible(parent) if not p.is_dir()}
        if images := [path.name for path, found in loose.items() if found is None]:
            raise DatasetError(
                f"{parent} contains images without a {kind}, e.g. {min(images)}; move each of them "
                f"into the sub-folder of its {kind}, leave them out with exclude=, {_TABLE}"
            )
        self.left_out |= {p: found for p, found in loose.items() if found and found != OTHER}
