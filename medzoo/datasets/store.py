"""Finding a data set's file, fetching it if need be, and opening it."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medzoo.datasets.archive import read_archive
from medzoo.datasets.cache import locked
from medzoo.datasets.checksum import file_md5, known_files
from medzoo.datasets.dataset import SPLIT_NAMES, Dataset, Provenance, SplitName, assemble
from medzoo.datasets.download import download_file
from medzoo.datasets.info import DatasetInfo, Task, dataset_info, list_datasets, medmnist_info
from medzoo.errors import DatasetError

DEFAULT_SIZE = 28


@dataclass(frozen=True)
class Source:
    """One of medmnist's files: its name, where it is, and its md5."""

    file: str
    url: str
    md5: str


def medmnist_source(name: str, size: int) -> Source:
    """Return medmnist's file for a data set at a size.

    Args:
        name: One of `list_datasets`.
        size: Height (= width) of the images in pixels.

    Raises:
        ValueError: If there is no such data set, or it does not come in this size.
    """
    info = dataset_info(name)
    if size not in info.sizes:
        sizes = ", ".join(map(str, info.sizes))
        raise ValueError(f"size={size!r} does not exist for {info.title}; choose one of {sizes}")
    entry = medmnist_info().INFO[info.name]
    suffix = "" if size == DEFAULT_SIZE else f"_{size}"
    return Source(f"{info.name}{suffix}.npz", entry[f"url{suffix}"], entry[f"MD5{suffix}"])


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder of data files: `root`, else ``MEDZOO_DATA``, else medmnist's own.

    Raises:
        DatasetError: If none of them is to be had (medmnist could not make its own).
    """
    chosen = root or os.environ.get("MEDZOO_DATA") or medmnist_info().DEFAULT_ROOT
    if chosen is None:
        raise DatasetError(
            "there is no folder for data: medmnist's own (~/.medmnist) cannot be made; "
            "give one as root= or in the environment variable MEDZOO_DATA"
        )
    return Path(chosen).expanduser()


def load_dataset(
    name: str | Path,
    size: int | None = None,
    root: str | Path | None = None,
    download: bool = True,
    *,
    task: Task | None = None,
    classes: Sequence[str] | None = None,
) -> Dataset:
    """Open a MedMNIST data set by name, or a file in its format by path.

    A missing MedMNIST file is downloaded from medmnist's URL and its md5 checked. A file whose
    md5 is not the official one is used, with a warning, and marked ``official=False``, which
    shows in every title and report. Sets whose images exceed 256 MiB are memory-mapped, from
    arrays that are extracted once into a folder beside the file.

    Args:
        name: A name out of `list_datasets`, or the path of an .npz file with the arrays
            ``train_images`` ... ``test_labels`` (see `Dataset.from_arrays` for their form). A file
            that is named as medmnist names its own is taken as that set.
        size: Height (= width) of the images in pixels: 28 (the default), 64, 128 or 224. For a
            path the file decides, and a size given is only checked.
        root: Folder of MedMNIST files; by default the environment variable ``MEDZOO_DATA``, else
            medmnist's own folder.
        download: Whether to fetch a missing file.
        task: Task of your own file; by default told from its labels.
        classes: Class names of your own file; by default ``"0"``, ``"1"``...

    Returns:
        The data set; images are uint8 (N, C, H, W).

    Raises:
        ValueError: If an argument does not fit; the message lists close matches.
        DatasetError: If the file cannot be found, fetched or read.
    """
    if isinstance(name, Path) or name.endswith(".npz") or Path(name).name != name:
        return _load_file(Path(name).expanduser(), size, task, classes)
    if task is not None or classes is not None:
        raise ValueError(
            f"task= and classes= are for files of your own; those of {name!r} are known"
        )
    info = dataset_info(name)
    source = medmnist_source(info.name, DEFAULT_SIZE if size is None else size)
    path = data_root(root) / source.file
    if not path.exists():
        if not download:
            raise DatasetError(
                f"{path} does not exist; allow download=True, or get {source.url} "
                f"(md5 {source.md5}) and put it there, or give another folder as root="
            )
        with locked(path):
            if not path.exists():  # else another process was faster
                download_file(source.url, path, source.md5)
    return _open(path, info, source, size or DEFAULT_SIZE)


def _load_file(
    path: Path, size: int | None, task: Task | None, classes: Sequence[str] | None
) -> Dataset:
    named = re.fullmatch(rf"({'|'.join(list_datasets())})(?:_(\d+))?\.npz", path.name)
    if named and task is None and classes is None:
        info, own_size = dataset_info(named[1]), int(named[2] or DEFAULT_SIZE)
        if own_size in info.sizes:
            return _open(path, info, medmnist_source(info.name, own_size), size or own_size)
    md5 = _md5(path)
    arrays = read_archive(path, md5)
    data = assemble(
        {split: (arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in SPLIT_NAMES},
        Provenance(file=path.name, md5=md5, official=False, note="own data"),
        name=path.stem,
        task=task,
        classes=classes,
    )
    _check_size(data, size or data.size, path)
    return data


def _open(path: Path, info: DatasetInfo, source: Source, size: int) -> Dataset:
    md5 = _md5(path)
    arrays = read_archive(path, md5)
    official = md5 == source.md5
    counts = {split: len(arrays[f"{split}_images"]) for split in SPLIT_NAMES}
    note = "" if official else known_files().get(md5) or _describe(counts, info.n_samples)
    data = assemble(
        {split: (arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in SPLIT_NAMES},
        Provenance(file=path.name, md5=md5, official=official, note=note),
        info=info,
    )
    _check_size(data, size, path)
    if not official:
        warnings.warn(
            f"{path} is not medmnist's own file (md5 {md5}, expected {source.md5}); it is used and "
            f'every figure measured on it is marked "{data.title}"',
            stacklevel=3,
        )
    return data


def _md5(path: Path) -> str:
    try:
        return file_md5(path)
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise DatasetError(f"{path} is a folder; give the .npz file in it") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _check_size(data: Dataset, size: int, path: Path) -> None:
    if data.size != size:
        raise DatasetError(
            f"{path} holds images of {data.size} x {data.size} pixels, expected {size} x {size}"
        )


def _describe(counts: Mapping[SplitName, int], official: Mapping[str, int]) -> str:
    """Say what is different about an unknown file, by its number of images."""
    for split in reversed(SPLIT_NAMES):  # figures are measured on the test split first
        if counts[split] != official[split]:
            return f"partial: {counts[split]:,} of {official[split]:,} {split} images"
    return "unofficial file"
