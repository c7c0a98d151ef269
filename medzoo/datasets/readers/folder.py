"""Read a folder of images whose sub-folders are the classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medzoo.datasets.build import RawDataset
from medzoo.datasets.info import SplitName
from medzoo.datasets.readers.labelled import SPLIT_OF, LabelledImages, class_indices
from medzoo.datasets.readers.read import ReadingOptions, read_labelled
from medzoo.errors import DatasetError, unknown_name
from medzoo.images.discover import HIDDEN_PREFIXES, visible_files
from medzoo.images.file import is_image

if TYPE_CHECKING:
    from typing_extensions import Unpack


def read_folder(
    path: str | Path, classes: Sequence[str] | None = None, **options: Unpack[ReadingOptions]
) -> RawDataset:
    """Read a folder of images; see `Dataset.from_folder`.

    Args:
        path: The folder.
        classes: The classes in their order; by default the names of the folders, sorted.
        **options: See `ReadingOptions`.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option has an invalid value.
        DatasetError: If the folder does not have the expected layout; and as for `read_labelled`.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DatasetError(
            f"{root} is not a folder; give a folder that has a sub-folder for each class"
        )
    found = [
        (file, name, split)
        for split, folder in _split_folders(root)
        for name, file in _labelled_files(folder)
    ]
    try:
        labels, names = class_indices([name for _, name, _ in found], classes)
    except ValueError as error:
        raise DatasetError(f"{root}: {error}") from error
    files = [file for file, _, _ in found]
    splits = [split for _, _, split in found if split]
    source = root.resolve().name
    return read_labelled(LabelledImages(source, files, labels, names, splits or None), **options)


def _split_folders(root: Path) -> list[tuple[SplitName | None, Path]]:
    """Return the folder of each split; or the root with split None, if it has no such folders."""
    folders = _folders(root)
    if "train" not in {folder.name.lower() for folder in folders}:
        return [(None, root)]
    for folder in folders:
        if folder.name.lower() not in SPLIT_OF:
            raise DatasetError(
                f"{root} has a folder train, so all of its folders have to be splits: "
                f"{unknown_name('split', folder.name, SPLIT_OF)}"
            )
    return [(SPLIT_OF[folder.name.lower()], folder) for folder in folders]


def _labelled_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield class and path of each image, sorted by name."""
    loose = [
        file.name
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(HIDDEN_PREFIXES) and is_image(file)
    ]
    if loose:
        raise DatasetError(
            f"{folder} contains images without a class, e.g. {min(loose)}; move each of them into "
            "the sub-folder of its class, or list the classes in a table (Dataset.from_table)"
        )
    classes = _folders(folder)
    if not classes:
        raise DatasetError(f"{folder} has no sub-folders; expected one for each class")
    for subfolder in classes:
        files = sorted(file for file in visible_files(subfolder) if is_image(file))
        if not files:
            raise DatasetError(
                f"the class folder {subfolder} contains no images; add some or remove it"
            )
        for file in files:
            yield subfolder.name, file


def _folders(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(HIDDEN_PREFIXES)
    )
