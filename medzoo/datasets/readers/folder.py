"""A folder of images whose sub-folders are the classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medzoo.datasets.dataset import Dataset
from medzoo.datasets.info import SplitName
from medzoo.datasets.readers.labelled import SPLIT_OF, LabelledImages, class_indices
from medzoo.datasets.readers.read import ReadingOptions, read_labelled
from medzoo.errors import DatasetError, unknown_name
from medzoo.images.discover import UNSEEN, visible_files
from medzoo.images.file import is_image

if TYPE_CHECKING:
    from typing_extensions import Unpack


def read_folder(
    path: str | Path, classes: Sequence[str] | None = None, **options: Unpack[ReadingOptions]
) -> Dataset:
    """Read a folder of images; see `Dataset.from_folder`.

    Raises:
        ValueError: If an option does not fit.
        DatasetError: If the folder is not laid out as expected; and as `read_labelled`.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder; give one that has a sub-folder for each class")
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
    """Return the folders of the splits, or the whole one, of no split, if it has none."""
    folders = _folders(root)
    if "train" not in {folder.name.lower() for folder in folders}:
        return [(None, root)]
    for folder in folders:
        if folder.name.lower() not in SPLIT_OF:
            raise DatasetError(
                f"{root} has a folder train, so its others have to be splits, too: "
                f"{unknown_name('split', folder.name, SPLIT_OF)}"
            )
    return [(SPLIT_OF[folder.name.lower()], folder) for folder in folders]


def _labelled_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the class and the path of each image, in the order of their names."""
    loose = [
        file.name
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(UNSEEN) and is_image(file)
    ]
    if loose:
        raise DatasetError(
            f"{folder} holds images of no class, e.g. {min(loose)}; put each into the sub-folder of "
            "its class, or say the classes in a table (Dataset.from_table)"
        )
    classes = _folders(folder)
    if not classes:
        raise DatasetError(f"{folder} has no sub-folders; one for each class is expected")
    for own in classes:
        files = sorted(file for file in visible_files(own) if is_image(file))
        if not files:
            raise DatasetError(f"the class folder {own} holds no image; fill it or remove it")
        for file in files:
            yield own.name, file


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(UNSEEN))
