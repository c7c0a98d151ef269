"""The official files of MedMNIST: where they come from, and where they are on this disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from medzoo.datasets.info import dataset_info, medmnist_info
from medzoo.errors import DatasetError


@dataclass(frozen=True)
class Source:
    """An official medmnist file: size of its images, file name, URL and md5."""

    size: int
    file: str
    url: str
    md5: str


def medmnist_source(name: str, size: int) -> Source:
    """Return the official medmnist file of a data set in a given size.

    Args:
        name: One of `list_datasets`.
        size: Height (= width) of the images in pixels.

    Raises:
        ValueError: If there is no such data set, or it is not available in this size.
    """
    info = dataset_info(name)
    if size not in info.sizes:
        sizes = ", ".join(map(str, info.sizes))
        raise ValueError(
            f"size={size!r} is not available for {info.title}; choose one of {sizes} (as a number)"
        )
    entry = medmnist_info().INFO[info.name]
    tag = info.tag(size)
    suffix = tag.removeprefix(info.name)
    return Source(size, f"{tag}.npz", entry[f"url{suffix}"], entry[f"MD5{suffix}"])


def given_path(name: str, value: object) -> Path:
    """Return the path that a caller gave, after checking that it is one.

    Args:
        name: Name of the argument, for messages.
        value: Its value; a user's home folder (``~``) is expanded.

    Raises:
        TypeError: If it is not a path.
        ValueError: If it is empty: that would stand for the current folder.
        DatasetError: If it cannot be looked up, e.g. for lack of permission, or if it starts with
            the home folder of a user who does not exist.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise TypeError(f"{name}={value!r:.80} is of type {type(value).__name__}, expected a path")
    if not text:
        raise ValueError(f"{name} is empty, expected a path (that of the current folder is '.')")
    path = Path(text)
    try:
        path = path.expanduser()
        path.exists()
    except RuntimeError as error:
        raise DatasetError(
            f"{name}={text!r:.300}: the home folder {path.parts[0]!r:.80} is not known; write the "
            "complete path"
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{name}={str(path)!r:.300}: {error.strerror}; check the path"
        ) from error
    return path


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder of data files: `root`, else ``MEDZOO_DATA``, else the default of medmnist.

    Args:
        root: The folder, if given.

    Raises:
        TypeError, ValueError: If `root` is not a path.
        DatasetError: If it cannot be looked up; or if neither is given, and medmnist could not
            create its default folder.
    """
    if root is not None:
        if "\0" in str(root):
            raise DatasetError(f"root={str(root)!r:.300} contains a null character")
        return given_path("root", root)
    chosen = os.environ.get("MEDZOO_DATA") or medmnist_info().DEFAULT_ROOT
    if chosen is None:
        raise DatasetError(
            "there is no data folder: the default folder of medmnist (~/.medmnist) cannot be "
            "created; give a folder as root= or in the environment variable MEDZOO_DATA"
        )
    return given_path("MEDZOO_DATA", chosen)


def sizes_on_disk(name: str, root: str | Path | None = None) -> tuple[int, ...]:
    """Return the sizes of a data set whose files need not be downloaded any more.

    Args:
        name: One of `list_datasets`.
        root: Folder of data files; see `data_root`.

    Raises:
        ValueError: If there is no such data set.
        DatasetError: If there is no data folder.
    """
    folder = data_root(root)
    sizes = dataset_info(name).sizes
    return tuple(size for size in sizes if (folder / medmnist_source(name, size).file).is_file())
