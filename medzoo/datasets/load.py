"""Find the file of a data set, download it if necessary, and open it."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, overload

import numpy as np

from medzoo.cache import locked
from medzoo.datasets.build import RawDataset
from medzoo.datasets.dataset import Dataset, build_dataset
from medzoo.datasets.info import (
    DEFAULT_SIZE,
    SPLIT_NAMES,
    ClassNames,
    DatasetInfo,
    SplitName,
    Task,
    class_names,
    dataset_info,
    list_datasets,
)
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.readers.array_labels import encode_labels
from medzoo.datasets.readers.group import GroupColumn
from medzoo.datasets.readers.text_table import TABLES
from medzoo.datasets.resplit import Positions, resplit
from medzoo.datasets.source import Source, data_root, given_path, medmnist_source
from medzoo.datasets.split import Split
from medzoo.datasets.storage import (
    download_file,
    known_files,
    read_archive,
    remove_leftovers,
)
from medzoo.errors import DatasetError, unknown_name


@overload
def load_dataset(  # type: ignore[overload-overlap]
    name: str | Path,
    size: int | None = None,
    root: str | Path | None = None,
    download: bool = True,
    *,
    task: Task | None = None,
    classes: ClassNames | None = None,
    split: SplitName,
) -> Split: ...


@overload
def load_dataset(
    name: str | Path,
    size: int | None = None,
    root: str | Path | None = None,
    download: bool = True,
    *,
    task: Task | None = None,
    classes: ClassNames | None = None,
    split: str | Path | Mapping[str, Positions] | None = None,
    group: GroupColumn = None,
    exclude: str | Sequence[str] = (),
) -> Dataset: ...


def load_dataset(
    name: str | Path,
    size: int | None = None,
    root: str | Path | None = None,
    download: bool = True,
    *,
    task: Task | None = None,
    classes: ClassNames | None = None,
    split: str | Path | Mapping[str, Positions] | None = None,
    group: GroupColumn = None,
    exclude: str | Sequence[str] = (),
) -> Dataset | Split:
    """Open a MedMNIST data set by name, or your own images by path.

    A missing MedMNIST file is downloaded from the URL that medmnist specifies, and its md5 is
    verified. A local file whose md5 is not the official one is used, with a warning, and marked
    ``official=False``, which is shown in every title and report. Data sets with more than 256 MiB
    of images are memory-mapped, from arrays that are extracted once into a folder next to the file.

    Args:
        name: A name from `list_datasets`; or the path of an .npz file with the arrays
            ``train_images`` ... ``test_labels`` (see `Dataset.from_arrays` for their form; splits
            may be missing), of a folder of images (`Dataset.from_folder`, which has more options),
            or of a .csv or .tsv table of images (`Dataset.from_table`). An .npz file with the name
            of an official medmnist file is opened as that data set.
        size: Height (= width) of the images in pixels, 28 by default. MedMNIST has 28, 64, 128 and
            224; images of a folder or table are resized to any size. For the path of an .npz file,
            the size is only checked.
        root: Folder of MedMNIST files; by default the environment variable ``MEDZOO_DATA``, else
            the default folder of medmnist.
        download: Whether to download a missing file.
        task: Task of your own images; by default inferred from their labels.
        classes: Class names of your own images, in the order of the labels, or a mapping from
            labels to names; by default those of the folder or table, and ``"0"``, ``"1"``... for
            an .npz file.
        split: ``"train"``, ``"val"`` or ``"test"`` for this split alone. Or custom splits:
            positions by split, or the path of a CSV file (see `medzoo.datasets.resplit`). Scores
            measured on them are marked.
        group: Column of a table with the patient, lesion or other group of each image; False or an
            empty string for none (see `Dataset.from_table`).
        exclude: Glob patterns of what to leave out of a folder of images; see
            `Dataset.from_folder`.

    Returns:
        The data set, or the named split; images are uint8 (N, C, H, W).

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has an invalid value; the message lists close matches.
        DatasetError: If the file (or that of the split) cannot be found, downloaded or read.
    """
    if not isinstance(name, str | os.PathLike):
        raise TypeError(
            f"name is a {type(name).__name__}, expected a data set's name or a path; read a "
            "DataFrame with Dataset.from_table and arrays with Dataset.from_arrays"
        )
    text = os.fspath(name)
    path = given_path("name", name)
    if group is not None and not _is_table(path):
        raise ValueError(f"group={group!r} is only for tables of images, and {text!r} is not one")
    official: tuple[DatasetInfo, Source] | None
    if _is_name(name):
        if task is not None or classes is not None:
            raise ValueError(
                f"task= and classes= are only for your own files; {name!r} defines both itself"
            )
        official = dataset_info(text), medmnist_source(text, DEFAULT_SIZE if size is None else size)
        path = data_root(root) / official[1].file
        _ensure(path, *official, download)
    else:
        official = _recognise(path) if task is None and classes is None else None
    if exclude and not path.is_dir():
        raise ValueError(f"exclude={exclude!r} is only for folders of images; {path} is not one")
    if official:
        data = _open_official(path, *official)
    else:
        data = _open_own(path, size, task, classes, group, exclude)
    if size is None and official:
        size = official[1].size
    if size not in (None, data.size):
        raise DatasetError(
            f"{path} holds images of {data.size} x {data.size} pixels, expected {size} x {size}"
        )
    if official and not data.official:
        warnings.warn(
            f"{path} is not the official medmnist file (md5 {data.provenance.md5}, expected "
            f"{official[1].md5}); it is used, and scores measured on it are marked {data.title!r}",
            stacklevel=2,
        )
    if isinstance(split, str) and not Path(split).suffix and split not in SPLIT_NAMES:
        raise unknown_name("split", split, SPLIT_NAMES)  # and not the name of a .csv file
    if isinstance(split, str) and split in SPLIT_NAMES:
        return cast(Split, getattr(data, split))
    return data if split is None else resplit(data, split)


def is_medmnist(name: str, md5: str | None) -> bool:
    """Return whether a file has images of MedMNIST: an official file, or a known rebuilt one.

    Args:
        name: Name of the data set. A folder of one's own images may have the same one.
        md5: The md5 of the file, as in `Provenance`.
    """
    if name not in list_datasets():
        return False
    official = {medmnist_source(name, size).md5 for size in dataset_info(name).sizes}
    return md5 in official or md5 in known_files()


def _is_name(name: str | Path) -> bool:
    """Return whether a name is that of a MedMNIST data set rather than a path."""
    if not isinstance(name, str) or Path(name).name != name or name.endswith((".npz", *TABLES)):
        return False
    return name.lower() in list_datasets() or not Path(name).exists()


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLES and not path.is_dir()


def _ensure(path: Path, info: DatasetInfo, source: Source, download: bool) -> None:
    """Download an official medmnist file if it does not exist."""
    if path.exists():
        return
    if not download:
        raise DatasetError(
            f"{path} does not exist; use download=True, or download {source.url} "
            f"(md5 {source.md5}) to this place, or give another folder as root="
        )
    try:
        with locked(path) as held:
            if held:
                remove_leftovers(path)
            if not path.exists():  # else another process was faster
                download_file(source.url, path, source.md5, max_bytes=_max_bytes(info, source.size))
    except TimeoutError as error:
        raise DatasetError(f"{path} is not there yet: {error}") from error


def _max_bytes(info: DatasetInfo, size: int) -> int:
    """Return how large an official file can be: its arrays without compression."""
    image = info.channels * size * size
    label = 8 * (info.num_classes if info.multi_label else 1)
    return sum(info.n_samples.values()) * (image + label) + (1 << 20)


def _recognise(path: Path) -> tuple[DatasetInfo, Source] | None:
    """Return the official medmnist file with the same name as a path, if there is one."""
    for name in list_datasets():
        info = dataset_info(name)
        for source in (medmnist_source(name, size) for size in info.sizes):
            if path.name == source.file:
                return info, source
    return None


def _open_official(path: Path, info: DatasetInfo, source: Source) -> Dataset:
    arrays, md5 = read_archive(path)
    official = md5 == source.md5
    pairs = _pairs(arrays)
    counts = {split: len(pairs[split][0]) if split in pairs else 0 for split in SPLIT_NAMES}
    note = "" if official else known_files().get(md5) or _describe(counts, info.n_samples)
    return build_dataset(RawDataset(pairs, Provenance(path.name, md5, official, note)), info)


def _open_own(
    path: Path,
    size: int | None,
    task: Task | None,
    classes: ClassNames | None,
    group: GroupColumn,
    exclude: str | Sequence[str],
) -> Dataset:
    size = DEFAULT_SIZE if size is None else size
    names = None if classes is None else class_names(classes)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DatasetError(f"{path} is a device or a pipe, expected a file or a folder")
    if path.is_dir() and path.suffix != ".npz":
        return Dataset.from_folder(path, names, exclude=exclude, size=size, task=task)
    if _is_table(path):
        return Dataset.from_table(path, names, group=group, size=size, task=task)
    if path.is_file() and path.suffix.lower() != ".npz" and not zipfile.is_zipfile(path):
        raise DatasetError(
            f"{path} is not a data set; give a folder of images, a .csv or .tsv table of images, "
            "or an .npz file"
        )
    arrays, md5 = read_archive(path)
    provenance = Provenance(path.name, md5, official=False, note="own data")
    raw = RawDataset(_pairs(arrays), provenance, path.stem, task, classes)
    return build_dataset(encode_labels(raw))


def _pairs(arrays: Mapping[str, np.ndarray]) -> dict[SplitName, tuple[np.ndarray, np.ndarray]]:
    return {
        split: (arrays[f"{split}_images"], arrays[f"{split}_labels"])
        for split in SPLIT_NAMES
        if f"{split}_images" in arrays
    }


def _describe(counts: Mapping[SplitName, int], official: Mapping[str, int]) -> str:
    """Return a note on what is different about an unknown file, by its numbers of images."""
    if missing := [split for split in SPLIT_NAMES if not counts[split]]:
        return f"partial: without {' and '.join(missing)}"
    for split in reversed(SPLIT_NAMES):  # most scores are measured on the test split
        if counts[split] != official[split]:
            return f"partial: {counts[split]:,} of {official[split]:,} {split} images"
    return "unofficial file"
