"""Read the MedMNIST file format: an .npz file with images and labels of up to three splits."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medzoo.datasets.names.splits import find_split
from medzoo.datasets.storage.content import file_version
from medzoo.datasets.storage.extract import extract, find_extracted
from medzoo.datasets.storage.md5 import file_md5
from medzoo.datasets.storage.mmap import open_map
from medzoo.errors import DatasetError
from medzoo.files import regular_file

SPLITS = ("train", "val", "test")
KEYS = tuple(f"{split}_{part}" for part in ("images", "labels") for split in SPLITS)

MMAP_ABOVE = 256 << 20
"""Bytes of images (all splits together) above which they are memory-mapped, not loaded."""
MAX_LABELS = 256 << 20
"""Bytes that the labels (all splits together) may take in memory."""
MAX_RATIO = 250
"""How many times larger than the file arrays of more than 256 MiB may be.

An archive of a few megabytes can claim gigabytes: DEFLATE reaches a ratio of 1,032. Data sets of
binary shapes reach 113 (dSprites), photographs 10.
"""

_SMALL = 256 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_READ = 1 << 22  # bytes; arrays are read in smaller pieces, or of this size
_HEADER = 1 << 16  # bytes; longer headers are refused before they are read


@dataclass(frozen=True)
class _Header:
    """Shape and type of an array according to its header in the archive."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    nbytes: int


def read_archive(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Read images and labels of a MedMNIST file; pickled objects are never loaded.

    What the file claims to contain is checked before memory or disk space is used for it.

    Args:
        path: The .npz file. If it has more than `MMAP_ABOVE` bytes of images, they are
            memory-mapped, copy-on-write, from extracted copies on disk.

    Returns:
        The arrays by key (``train_images`` ... ``test_labels``), two for each split in the file,
        and the file's md5.

    Raises:
        DatasetError: If the file is missing, damaged, too large for what it contains, or not a
            regular file, or an array is missing or of a wrong type.
    """
    with _readable(path), _File(regular_file(path)) as file, zipfile.ZipFile(file) as archive:
        version = file_version(file)
        keys = _keys(archive)
        headers = {key: _read_header(archive, key) for key in keys}
        images = [key for key in keys if key.endswith("images")]
        for key in images:
            if headers[key].dtype != np.uint8:
                raise ValueError(
                    f"{key} has dtype {headers[key].dtype}, expected uint8; "
                    "scale the images to 0..255 and convert them with .astype('uint8')"
                )
        _check_sizes(path.name, version["size"], headers)
        md5 = file_md5(file)
        if sum(headers[key].nbytes for key in images) <= MMAP_ABOVE:
            arrays = {key: _read_array(archive, key) for key in keys}
        else:
            if fortran := [key for key in images if headers[key].fortran_order]:
                raise ValueError(
                    f"{', '.join(fortran)} are stored in Fortran order and are too large to be "
                    "reordered in memory; save them again with np.ascontiguousarray"
                )
            folder = find_extracted(archive, path, md5, images)
            if folder is None:
                md5 = file_md5(file, trust=False)
                folder = extract(archive, path, md5, images)
            arrays = {
                key: open_map(folder / f"{key}.npy") if key in images else _read_array(archive, key)
                for key in keys
            }
        if file_version(file) != version:
            raise OSError("it was changed while it was read; load it again")
        return arrays, md5


class _File(io.BufferedReader):
    """A file of which no large part is read at once.

    zipfile reads the table of contents in one piece, however large the file says that it is.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_READ:
            raise ValueError(
                f"its table of contents has {size:,} bytes, expected at most {_MAX_READ:,}; save "
                "the arrays of one data set alone, with np.savez"
            )
        return super().read(size)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Convert every error that reading can raise into a `DatasetError` that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise DatasetError(f"{path} is a folder; give the .npz file in it") from error
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError) as error:
        raise DatasetError(
            f"{path} is damaged, truncated or not an .npz file ({error}); "
            "delete it and download it again, or save it with np.savez_compressed"
        ) from error
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise DatasetError(f"{path} cannot be read: {str(error) or 'not enough memory'}") from error


def _keys(archive: zipfile.ZipFile) -> list[str]:
    """Return the keys of the splits in the archive: images and labels of one at least."""
    found = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    for key in sorted(found.difference(KEYS)):
        name, _, part = key.rpartition("_")
        if part.casefold() not in ("images", "labels") or not (split := find_split(name)):
            continue
        if (usual := f"{split}_{part.casefold()}") not in found:
            raise ValueError(
                f"the array {key} seems to be of the split {split}, but would not be read; rename "
                f"it to {usual}, or remove it"
            )
    splits = [split for split in SPLITS if found & {f"{split}_images", f"{split}_labels"}]
    keys = [key for key in KEYS if key.split("_")[0] in (splits or SPLITS)]
    if missing := [key for key in keys if key not in found]:
        raise ValueError(
            f"the array {missing[0]} is missing; expected {', '.join(KEYS)} (or only the arrays of "
            f"some splits), found {', '.join(sorted(found)) or 'none'}"
        )
    return keys


def _read_header(archive: zipfile.ZipFile, key: str) -> _Header:
    member = archive.getinfo(f"{key}.npy")
    if member.compress_type not in _METHODS:  # only these are decompressed in bounded memory
        raise ValueError(
            f"{key} is compressed by a method that NumPy does not use (number "
            f"{member.compress_type}); save the file again with np.savez_compressed"
        )
    with archive.open(member) as stream:
        head = io.BytesIO(stream.read(_HEADER))
    try:
        version = np.lib.format.read_magic(head)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"it is in version {version} of the .npy format")
        shape, fortran_order, dtype = read(head)
    except Exception as error:  # NumPy's parser of headers raises many types
        raise ValueError(
            f"{key} has a header that NumPy cannot read ({type(error).__name__}: {error}); "
            "save it again with np.savez_compressed"
        ) from error
    start = head.tell()
    if dtype.hasobject:
        raise ValueError(
            f"{key} holds pickled Python objects, which are never loaded; "
            "images of one size as uint8 and labels as integers are expected"
        )
    nbytes = math.prod(shape) * dtype.itemsize
    if start + nbytes != member.file_size:
        raise ValueError(
            f"{key} is truncated: shape {shape} of {dtype} needs {nbytes:,} bytes, "
            f"the file holds {member.file_size - start:,}"
        )
    return _Header(shape, dtype, fortran_order and len(shape) > 1, nbytes)


def _check_sizes(name: str, size: int, headers: Mapping[str, _Header]) -> None:
    """Check what arrays would take, before anything is allocated or extracted."""
    for split in SPLITS:
        images, labels = headers.get(f"{split}_images"), headers.get(f"{split}_labels")
        if images and labels and images.shape and labels.shape[:1] not in ((), images.shape[:1]):
            raise DatasetError(
                f"{name}: {split} labels: {labels.shape[0]:,} labels for "
                f"{images.shape[0]:,} images; expected one label per image"
            )
    # Labels become whole numbers of 8 bytes.
    labels_size = sum(
        max(header.nbytes, 8 * math.prod(header.shape))
        for key, header in headers.items()
        if key.endswith("labels")
    )
    if labels_size > MAX_LABELS:
        raise ValueError(
            f"the labels would take {labels_size:,} bytes in memory, expected at most "
            f"{MAX_LABELS:,}: one class index, or a row of zeros and ones, per image"
        )
    total = sum(header.nbytes for header in headers.values())
    if total > max(_SMALL, MAX_RATIO * size):
        raise ValueError(
            f"its arrays would take {total:,} bytes, more than {MAX_RATIO} times its size "
            f"({size:,} bytes); if the images really are that uniform, save them without "
            "compression, with np.savez"
        )


def _read_array(archive: zipfile.ZipFile, key: str) -> np.ndarray:
    with archive.open(f"{key}.npy") as stream:
        array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # zipfile verifies the checksum at the end of the member
    return array
