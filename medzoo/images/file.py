"""Read one image file of any format as 8-bit gray or RGB."""

from __future__ import annotations

import io
import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from medzoo.errors import DatasetError
from medzoo.images.decoding.bounded import (
    BOUNDED_FORMATS,
    MAX_BOUNDED_BYTES,
    is_bounded,
    may_be_bounded,
)
from medzoo.images.decoding.decode import HEAD, NotWantedError, Reserve, decode, may_be_image
from medzoo.images.decoding.limits import PixelBudget, check_pixels, check_size
from medzoo.images.decoding.pool import worker_pool
from medzoo.images.depth import DepthCheck

_NAMES = (
    "apng avif bmp dcm dib dicom gif ico j2k jfif jp2 jpe jpeg jpg jpx "
    "pbm pcx pgm png pnm ppm qoi sgi tga tif tiff webp"
)
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""File name suffixes, in lower case, of files that are assumed to be images."""

_budget = PixelBudget()


def is_image(path: Path) -> bool:
    """Return whether a file is an image, by its suffix or else by its content.

    The file may still be damaged: only `read_image` decodes it.

    Args:
        path: The file.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True

    def stop(width: int, height: int) -> None:
        raise NotWantedError

    try:
        with path.open("rb") as stream:
            if not may_be_image(stream.read(HEAD)):
                return False
        _decode(path, str(path), stop)
    except NotWantedError:
        return True
    except Exception:  # plugins of Pillow raise many kinds of errors for other formats
        return False
    return True


def read_image(
    source: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    depth: DepthCheck | None = None,
    held: ExitStack | None = None,
    budget: PixelBudget | None = None,
) -> np.ndarray:
    """Read an image file. The format is detected from the content, not from the name.

    - Formats: those in `medzoo.images.decoding.decode.FORMATS`, and DICOM with ``pip install
      'medzoo[dicom]'`` (see `medzoo.images.decoding.dicom.read_dicom`).
    - Size, pixels, time and memory are limited, see `medzoo.images.decoding.limits`. All but plain
      JPEG, PNG and BMP files are decoded in another process, which is ended if it takes too long.
    - Of animations and multi-frame files, the first frame is read.
    - Images are rotated upright according to EXIF. Transparency is blended with black; palettes,
      CMYK and other colour spaces become RGB.
    - 16-bit gray is scaled by the full range, 65535 to 255 (with a warning if the values look like
      those of a 12-bit scan), and so are 32-bit integers from 0 to 65535. Floats must be in [0, 1].
      The range of others is not known, and they are refused.

    Args:
        source: The path of the file, or its content.
        name: What the content is called in errors.
        depth: Takes note of 16-bit values, to give one warning for several files; by default the
            warning is about this file.
        held: Counts the image among those that are in memory in full size until it is closed; by
            default, until the image is decoded. Others wait if these become too large.
        budget: What these images may hold together; by default one for the whole process.

    Returns:
        uint8 (H, W) if gray, else (H, W, 3).

    Raises:
        DatasetError: If the file is missing, damaged, truncated or not an image, exceeds a limit,
            or is DICOM and pydicom is not installed; the message names the file.

    Example:
        >>> import pathlib
        >>> read_image(pathlib.Path("scan.png").read_bytes()).shape  # doctest: +SKIP
        (512, 512)
    """
    if isinstance(source, bytes):
        name = name or f"{len(source):,} bytes"
    else:
        source = Path(source)
        name = repr(str(source))
        _check_file(source)
    with ExitStack() as own:

        def reserve(width: int, height: int) -> None:
            pixels = check_pixels(width, height)
            (budget or _budget).reserve(pixels, own if held is None else held)

        try:
            pixels, highest = _decode(source, name, reserve)
        except Exception as error:  # decoders raise many kinds of errors, some with several lines
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DatasetError(f"cannot read {name} as an image: {reason}") from error
    check = depth or DepthCheck()
    check.add(highest)
    if depth is None:
        check.finish()
    return pixels


def _check_file(path: Path) -> None:
    if not path.is_file():
        if path.is_dir():
            problem = "is a folder"
        else:
            problem = "is not a regular file" if path.exists() else "does not exist"
        raise DatasetError(f"{path} {problem}; give the path of an image file")


def _decode(source: Path | bytes, name: str, reserve: Reserve) -> tuple[np.ndarray, int]:
    """Decode a file in this process if what that costs is bounded, else in a worker."""
    content = source if isinstance(source, bytes) else b""
    if isinstance(source, bytes):
        check_size(len(source))
    else:
        with source.open("rb") as stream:
            check_size(size := os.fstat(stream.fileno()).st_size)
            head = stream.read(HEAD)
            if size <= MAX_BOUNDED_BYTES and may_be_bounded(head):
                content = head + stream.read(size)
    if is_bounded(content):
        return decode(io.BytesIO(content), name, reserve, BOUNDED_FORMATS)
    return worker_pool().decode(source, name, reserve)


def _reset_budget() -> None:
    """Start anew in a forked process: what other threads of its parent hold is not given back."""
    global _budget
    _budget = PixelBudget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_budget)
