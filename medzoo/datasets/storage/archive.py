"""Read the MedMNIST file format: an .npz file with images and labels of up to three splits."""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medzoo.datasets.storage.md5 import file_md5
from medzoo.datasets.storage.mmap import extract, open_map
from medzoo.errors import DatasetError
from medzoo.files import regular_file

SPLITS = ("train", "val", "test")
KEYS = tuple(f"{split}_{part}" for part in ("images", "labels") for split in SPLITS)

MMAP_ABOVE = 256 << 20
"""Bytes of images (all splits together) above which they are memory-mapped, not loaded."""


@dataclass(frozen=True)
class _Header:
    """Shape and type of an array according to its header in the archive."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    nbytes: int


def read_archive(path: Path, mmap_above: int | None = None) -> tuple[dict[str, np.ndarray], str]:
    """Read images and labels of a MedMNIST file; pickled objects are never loaded.

    Args:
        path: The .npz file.
        mmap_above: Bytes of images above which they are memory-mapped, copy-on-write, from
            extracted copies on disk; `MMAP_ABOVE` if None.

    Returns:
        The arrays by key (``train_images`` ... ``test_labels``), two for each split in the file,
        and the file's md5.

    Raises:
        DatasetError: If the file is missing, damaged or not a regular file, or an array is missing
            or of a wrong type.
    """
    with _readable(path), zipfile.ZipFile(regular_file(path)) as archive:
        md5 = file_md5(path)
        keys = _keys(archive)
        headers = {key: _read_header(archive, key) for key in keys}
        images = [key for key in keys if key.endswith("images")]
        for key in images:
            if headers[key].dtype != np.uint8:
                raise ValueError(
                    f"{key} has dtype {headers[key].dtype}, expected uint8; "
                    "scale the images to 0..255 and convert them with .astype('uint8')"
                )
        limit = MMAP_ABOVE if mmap_above is None else mmap_above
        if sum(headers[key].nbytes for key in images) <= limit:
            return {key: _read_array(archive, key) for key in keys}, md5
        if fortran := [key for key in images if headers[key].fortran_order]:
            raise ValueError(
                f"{', '.join(fortran)} are stored in Fortran order and are too large to be "
                "reordered in memory; save them again with np.ascontiguousarray"
            )
        folder = extract(archive, path, md5, images)
        arrays = {key: open_map(folder / f"{key}.npy") for key in images}
        labels = {key: _read_array(archive, key) for key in keys if key not in arrays}
        return arrays | labels, md5


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Convert every error that reading can raise into a `DatasetError` that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise DatasetError(f"{path} is a folder; give the .npz file in it") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError) as error:
        raise DatasetError(
            f"{path} is damaged, truncated or not an .npz file ({error}); "
            "delete it and download it again, or save it with np.savez_compressed"
        ) from error
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _keys(archive: zipfile.ZipFile) -> list[str]:
    """Return the keys of the splits in the archive: images and labels of one at least."""
    found = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
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
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"{key} is in version {version} of the .npy format; save it again")
        try:
            shape, fortran_order, dtype = read(stream)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
            raise
        except Exception as error:  # NumPy's parser of headers raises many types
            raise ValueError(
                f"{key} has a header that NumPy cannot read ({type(error).__name__}: {error}); "
                "save it again with np.savez_compressed"
            ) from error
        start = stream.tell()
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


def _read_array(archive: zipfile.ZipFile, key: str) -> np.ndarray:
    with archive.open(f"{key}.npy") as stream:
        array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # zipfile verifies the checksum at the end of the member
    return array
