"""Read one image file of any format as 8-bit gray or RGB."""

from __future__ import annotations

import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError

from medzoo.errors import DatasetError, WriteError
from medzoo.files import writing
from medzoo.images.convert import check_pixels, decode_pixels, numbers_to_uint8
from medzoo.images.depth import DepthCheck
from medzoo.images.dicom import is_dicom, lacks_preamble, read_dicom
from medzoo.images.pillow import MAX_16_BIT, has_16_bit_colours, integer_range

_NAMES = (
    "apng avif bmp dcm dib dicom gif ico j2k jfif jp2 jpe jpeg jpg jpx "
    "pbm pcx pgm png pnm ppm qoi sgi tga tif tiff webp"
)
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""File name suffixes, in lower case, of files that are assumed to be images."""

_HEAD = 132  # bytes, the last four of which identify a DICOM file
_SCAN = b"\xff\xda"  # the marker of a scan in JPEG files; compressed data never contain it
_MAX_SCANS = 100  # progressive files have about ten; each is a pass over the whole image
_PILLOW = int(PIL.__version__.split(".")[0])


def is_image(path: Path) -> bool:
    """Return whether a file is an image, by its suffix or else by its first bytes.

    The file may still be damaged: only `read_image` decodes it.

    Args:
        path: The file.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as stream:
            if is_dicom(stream.read(_HEAD)):
                return True
        with Image.open(path):
            return True
    except Exception:  # plugins of Pillow raise many kinds of errors for other formats
        return False


def read_image(
    source: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    depth: DepthCheck | None = None,
) -> np.ndarray:
    """Read an image file. The format is detected from the content, not from the name.

    - Formats: all that Pillow decodes by itself, and DICOM with ``pip install 'medzoo[dicom]'``
      (see `medzoo.images.dicom.read_dicom`). PostScript is refused, because decoding it would run
      a program.
    - Of animations and multi-frame files, the first frame is read.
    - Images are rotated upright according to EXIF. Transparency is blended with black; palettes,
      CMYK and other colour spaces become RGB.
    - 16-bit gray is scaled by the full range, 65535 to 255 (with a warning if the values look like
      those of a 12-bit scan), and floats in [0, 1] by 255. The range of other floats and of 32-bit
      integers is not known, so they are scaled from their minimum and maximum.

    Args:
        source: The path of the file, or its content.
        name: What the content is called in errors.
        depth: Takes note of 16-bit values, to give one warning for several files; by default the
            warning is about this file.

    Returns:
        uint8 (H, W) if gray, else (H, W, 3).

    Raises:
        DatasetError: If the file is missing, damaged, truncated or not an image, has more than
            `medzoo.images.convert.MAX_PIXELS` pixels, or is DICOM and pydicom is not installed; the
            message names the file.

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
    check = depth or DepthCheck()
    pixels = _read(source, name, check)
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


def _read(source: Path | bytes, name: str, depth: DepthCheck) -> np.ndarray:
    """Decode a file; turn every error of a decoder into one that names the file."""
    head = b""
    try:
        head = _head(source)
        return _read_dicom(source) if is_dicom(head) else _read_by_pillow(source, depth)
    except WriteError:
        raise  # says nothing about the image
    except UnidentifiedImageError as error:
        reason = "unknown format"
        if lacks_preamble(head) or name.rstrip("'").lower().endswith((".dcm", ".dicom")):
            reason = (
                "it seems to be a DICOM file without the preamble (128 bytes, then DICM) that "
                "identifies it; save it again as a complete DICOM file"
            )
        raise DatasetError(f"cannot read {name} as an image: {reason}") from error
    except Exception as error:  # decoders raise many kinds of errors, some with several lines
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"cannot read {name} as an image: {reason}") from error


def _head(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:_HEAD]
    with source.open("rb") as stream:
        return stream.read(_HEAD)


def _read_dicom(source: Path | bytes) -> np.ndarray:
    if isinstance(source, Path):
        return read_dicom(source)
    with TemporaryDirectory() as folder:  # pydicom reads the head of a file only by its path
        copy = Path(folder) / "image"
        with writing(copy, "a temporary copy of a DICOM file"):
            copy.write_bytes(source)
        return read_dicom(copy)


def _read_by_pillow(source: Path | bytes, depth: DepthCheck) -> np.ndarray:
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        if image.format == "EPS":
            raise ValueError("PostScript files are programs and are not run; save it as PNG")
        if image.format == "DDS" and _PILLOW < 13:
            raise ValueError("of a DDS file, Pillow before 13 may read a part; save it as PNG")
        check_pixels(image.width, image.height)
        if image.format == "JPEG":
            content = source if isinstance(source, bytes) else source.read_bytes()
            if (scans := content.count(_SCAN)) > _MAX_SCANS:
                raise ValueError(
                    f"it has {scans} scans, expected at most {_MAX_SCANS}; save it again"
                )
        is_deep = has_16_bit_colours(image)
        image.load()
        pixels = decode_pixels(image)
        if is_deep:
            depth.add(int(pixels.max()) * MAX_16_BIT // 255)
        if pixels.dtype == np.uint8:
            return pixels
        full_range = 1.0 if image.mode == "F" else integer_range(image)
        if full_range == MAX_16_BIT and pixels.min() >= 0:
            depth.add(int(pixels.max()))
        return numbers_to_uint8(pixels, full_range)
