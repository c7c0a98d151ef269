"""From what users call images (paths, folders, patterns, files, arrays) to one image at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from operator import length_hint
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from medzoo.datasets import Split
from medzoo.datasets.storage import iter_chunks
from medzoo.errors import DatasetError
from medzoo.images import ImageLike, find_images, read_image
from medzoo.images.decoding.limits import MAX_BYTES
from medzoo.images.depth import DepthCheck
from medzoo.images.discover import describe_left_out, warn_left_out
from medzoo.images.shape import channels_where_expected, check_dense, is_gray_stack
from medzoo.prediction.patterns import match_files

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes] | ImageLike"
"""One image: a file, the content of one, an open one, or pixels in memory. In place of a file, a
folder or a pattern stands for many."""
ImageSources: TypeAlias = "ImageSource | Iterable[ImageSource] | Split"
"""One image or many."""

_CHUNK = 64  # images of a split that are read at once
_TEXT_OR_OBJECTS = "OUT"  # kinds of NumPy's dtypes; the elements of such arrays are images


@dataclass(frozen=True)
class Source:
    """One image.

    Attributes:
        image: The image.
        is_found: Whether it was found in a folder or by a pattern, instead of being given.
    """

    image: ImageSource
    is_found: bool = False


@dataclass(frozen=True)
class Sources:
    """Images to be read one after the other.

    Attributes:
        images: The images, once.
        count: Their number, for a progress bar; 0 if it is not known.
        single: Whether the user gave one image, not a collection that may hold one.
    """

    images: Iterable[Source]
    count: int
    single: bool = False


def find_sources(images: ImageSources, channels: int) -> Sources:
    """Find out which images are meant, without reading any.

    Args:
        images: See `medzoo.predict`.
        channels: Channels that the model expects; see `is_gray_stack`.

    Raises:
        FileNotFoundError: If a folder holds no image, or no file fits a pattern.
        TypeError: If it is none of these.
        ValueError: If it is a URL, or the shape of an array or a pattern has two readings.
    """
    if isinstance(images, np.ndarray) and images.dtype.kind in _TEXT_OR_OBJECTS:
        images = images.tolist()
    if isinstance(images, Split):
        rows = (row for chunk in images.chunks(_CHUNK) for row in chunk)
        return Sources(map(Source, rows), len(images))
    if isinstance(images, np.ndarray | Tensor):
        check_dense(images)
        if images.ndim == 4:
            images = channels_where_expected(images)
        elif not is_gray_stack(images, channels):
            return Sources([Source(images)], 1, single=True)
        if isinstance(images, Tensor):
            rows = (row for chunk in iter_chunks(images, _CHUNK) for row in chunk)
            return Sources(map(Source, rows), len(images))
        return Sources(map(Source, images), len(images))
    if isinstance(images, str | os.PathLike):
        found = list(expand([images]))
        return Sources(found, len(found), single=not found[0].is_found)
    if isinstance(images, Image.Image) or is_file_content(images):
        return Sources([Source(images)], 1, single=True)  # type: ignore[arg-type]
    _check_iterable(images)
    if isinstance(images, Sequence):
        # At once, so that a missing folder is an error before anything is read.
        found = list(expand(images))  # type: ignore[arg-type]
        return Sources(found, len(found))
    return Sources(expand(images), length_hint(images))


def expand(images: Iterable[ImageSource]) -> Iterator[Source]:
    """Yield images, and in place of a folder or pattern the files that it stands for.

    Args:
        images: The images.

    Raises:
        FileNotFoundError: If a folder holds no image, or no file fits a pattern.
        ValueError: If a path is a URL, or has two readings, as a name and as a pattern.
    """
    for image in images:
        found = _search(image) if isinstance(image, str | os.PathLike) else None
        if found is None:
            yield Source(image)
        else:
            yield from (Source(path, is_found=True) for path in found)


def _check_iterable(images: object) -> None:
    is_batched = isinstance(images, DataLoader) and images.batch_sampler is not None
    if is_batched or (isinstance(images, Dataset) and not isinstance(images, Iterable)):
        raise TypeError(
            f"cannot predict for a {type(images).__name__}, which gives batches or images with "
            "labels; give the images alone: a split (data.test, data.test.subset([0, 5])), or of "
            "another data set [image for image, _ in dataset]"
        )
    is_table = getattr(images, "ndim", 1) != 1  # its elements would be the names of its columns
    if is_table or not isinstance(images, Iterable) or isinstance(images, Mapping | Set):
        what = "one column of a table" if is_table else "a list of these"
        raise TypeError(
            f"cannot predict for a {type(images).__name__}; give a file, a folder, a pattern, the "
            f"content of a file, a PIL image, an array, a tensor, a split (data.test), or {what}"
        )


def _search(path: str | os.PathLike[str]) -> list[str] | None:
    """Return the files in a folder or of a pattern, sorted; None for the path of one file."""
    name = os.fspath(path)
    _refuse_url(name)
    try:
        matching, is_folder = match_files(name), Path(name).is_dir()
    except OSError:  # reading it says why
        return None
    if is_folder:
        images, left_out = find_images(name)
        if not images and left_out:
            raise FileNotFoundError(
                f"found no image in {name!r}, but {describe_left_out(left_out, name)}"
            )
        warn_left_out(left_out, name)
        found = sorted(map(str, images))
    elif matching is not None:
        found = matching
    else:
        return None
    if not found:
        raise FileNotFoundError(f"found no image in {name!r}; check the folder or pattern")
    return found


def _refuse_url(name: str) -> None:
    # A Path makes one slash of two. A single letter is a drive of Windows.
    if re.match(r"[a-z][a-z0-9+.-]+:/", name, re.IGNORECASE) and not os.path.exists(name):  # noqa: PTH110  # which raises nothing
        raise ValueError(f"{name!r} is a URL; download the image first")


def path_of(image: ImageSource) -> str | None:
    """Return the path of an image file, as it was given; None for what is in memory.

    Args:
        image: One image.
    """
    return os.fspath(image) if isinstance(image, str | os.PathLike) else None


def is_file_content(image: object) -> bool:
    """Return whether an image is the content of a file, or a file that was opened.

    Args:
        image: One image.
    """
    return isinstance(image, bytes | bytearray | memoryview) or hasattr(image, "read")


def load_image(
    image: ImageSource,
    depth: DepthCheck,
    name: str = "the image",
    held: ExitStack | None = None,
) -> ImageLike:
    """Read a file into memory; return what is already there unchanged.

    Args:
        image: One image.
        depth: Takes note of 16-bit values.
        name: What an image without a path is called in errors.
        held: Counts a file among the images in memory until it is closed; see `read_image`.

    Raises:
        FileNotFoundError: If the file does not exist.
        DatasetError: If it is not a readable image, or cannot be looked up.
        TypeError: If it is a file that was opened as text.
        ValueError: If it is a URL.
    """
    image = _content_of(image)
    if isinstance(image, bytes):
        return read_image(image, name=name, depth=depth, held=held)
    if not isinstance(image, str | os.PathLike):
        return image  # type: ignore[return-value]
    _refuse_url(os.fspath(image))
    path = Path(image)
    try:
        exists = path.exists()
    except OSError as error:  # too long, or in a folder that may not be read
        raise DatasetError(
            f"image file {str(path)!r:.300}: {error.strerror}; check the path"
        ) from error
    if not exists:
        hint = "; brackets are a pattern only together with * or ?" if "[" in str(path) else ""
        raise FileNotFoundError(f"image file {str(path)!r} does not exist; check the path{hint}")
    return read_image(path, depth=depth, held=held)


def _content_of(image: ImageSource) -> ImageSource:
    """Read a file that was opened, from its start if it can be rewound; return others unchanged."""
    stream: Any = image
    if hasattr(image, "read"):
        if hasattr(image, "seekable") and stream.seekable():
            stream.seek(0)
        content: Any = stream.read(MAX_BYTES + 1)
        # Files without a buffer may give less than there is.
        while isinstance(content, bytes) and (more := stream.read(MAX_BYTES + 1 - len(content))):
            content += more
        if not isinstance(content, bytes):
            raise TypeError(
                f"reading a {type(stream).__name__} gave {type(content).__name__}, expected bytes; "
                "open files in binary mode, 'rb'"
            )
        image = content
    return bytes(image) if isinstance(image, bytearray | memoryview) else image
