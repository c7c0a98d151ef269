"""From what users call images (a path, a folder, a pattern, arrays) to a list of images."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from medzoo.images import ImageLike, find_images, read_image
from medzoo.images.discover import describe_left_out, warn_left_out

ImageSource: TypeAlias = "str | os.PathLike[str] | ImageLike"
"""One image: a file or one in memory. In place of a file, a folder or a pattern stands for many."""


@dataclass(frozen=True)
class Sources:
    """Images to be read one after the other.

    Attributes:
        images: One entry per image.
        single: Whether the user gave one image, not a collection that may hold one.
        searched: Whether any of them were found in a folder or by a pattern.
    """

    images: Sequence[ImageSource]
    single: bool
    searched: bool


def find_sources(images: ImageSource | Sequence[ImageSource]) -> Sources:
    """Find out which images are meant, without reading any.

    Args:
        images: A file, a folder, a pattern such as ``"scans/*.png"``, a PIL image, an array or a
            tensor; or a sequence of these, or an array or tensor of four dimensions.

    Raises:
        FileNotFoundError: If a folder holds no image, or no file fits a pattern.
        ValueError: If `images` is none of these, e.g. a URL.
    """
    if isinstance(images, (str, os.PathLike)):
        found = _search(images)
        return Sources([images] if found is None else found, found is None, found is not None)
    if isinstance(images, Image.Image):
        return Sources([images], single=True, searched=False)
    if isinstance(images, (np.ndarray, Tensor)):
        single = images.ndim != 4
        return Sources([images] if single else images, single, searched=False)  # type: ignore[arg-type]
    if not isinstance(images, Sequence):
        raise ValueError(
            f"cannot predict for a {type(images).__name__}; give a file, a folder, a pattern, a "
            "PIL image, an array, a tensor, or a list of these (of a split of a data set: "
            "split.images)"
        )
    several: list[ImageSource] = []
    searched = False
    for image in images:
        found = _search(image) if isinstance(image, (str, os.PathLike)) else None
        several += [image] if found is None else found
        searched = searched or found is not None
    return Sources(several, single=False, searched=searched)


def _search(path: str | os.PathLike[str]) -> list[str] | None:
    """Return the files in a folder or of a pattern, sorted; None for the path of one file."""
    name = os.fspath(path)
    _refuse_url(name)
    if Path(name).is_dir():
        images, left_out = find_images(name)
        if not images and left_out:
            raise FileNotFoundError(
                f"found no image in {name!r}, but {describe_left_out(left_out, name)}"
            )
        warn_left_out(left_out, name)
        found = sorted(map(str, images))
    elif set(name) & set("*?[") and not Path(name).exists():
        paths = glob(name, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute patterns
        found = sorted(path for path in paths if not Path(path).is_dir())
    else:
        return None
    if not found:
        raise FileNotFoundError(f"found no image in {name!r}; check the folder or pattern")
    return found


def _refuse_url(name: str) -> None:
    # A Path makes one slash of two. A single letter is a drive of Windows.
    if re.match(r"[a-z][a-z0-9+.-]+:/", name, re.IGNORECASE) and not Path(name).exists():
        raise ValueError(f"{name!r} is a URL; download the image first")


def path_of(image: ImageSource) -> str | None:
    """Return the path of an image file, as it was given; None for what is in memory.

    Args:
        image: One image.
    """
    return os.fspath(image) if isinstance(image, (str, os.PathLike)) else None


def load_image(image: ImageSource) -> ImageLike:
    """Read a file into memory; leave what is already there alone.

    Args:
        image: One image.

    Raises:
        FileNotFoundError: If the file does not exist.
        DatasetError: If it is not a readable image.
        ValueError: If it is a URL.
    """
    if not isinstance(image, (str, os.PathLike)):
        return image
    _refuse_url(os.fspath(image))
    path = Path(image)
    if not path.exists():
        raise FileNotFoundError(f"image file {str(path)!r} does not exist; check the path")
    return read_image(path)
