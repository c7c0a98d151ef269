"""Read one image file of any format as 8-bit gray or RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError

from medzoo.errors import DatasetError
from medzoo.images.convert import MAX_16_BIT, check_pixels, decode_pixels, numbers_to_uint8
from medzoo.images.dicom import is_dicom, lacks_preamble, read_dicom

_NAMES = (
    "apng avif bmp dcm dib dicom gif ico j2k jfif jp2 jpe jpeg jpg jpx "
    "pbm pcx pgm png pnm ppm qoi sgi tga tif tiff webp"
)
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""File name suffixes, in lower case, of files that are assumed to be images."""

_HEAD = 132  # bytes, the last four of which identify a DICOM file
_SCAN = b"\xff\xda"  # the marker of a scan in JPEG files; compressed data never contain it
_MAX_SCANS = 100  # progressive files have about ten; each is a pass over the whole image
_AT_MOST_16_BIT = ("PNG", "PPM")
_BITS_PER_SAMPLE = 258  # number of the TIFF tag
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


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file. The format is detected from the content, not from the name.

    - Formats: all that Pillow decodes by itself, and DICOM with ``pip install 'medzoo[dicom]'``
      (see `medzoo.images.dicom.read_dicom`). PostScript is refused, because decoding it would run
      a program.
    - Of animations and multi-frame files, the first frame is read.
    - Images are rotated upright according to EXIF. Transparency is blended with black; palettes,
      CMYK and other colour spaces become RGB.
    - 16-bit gray is scaled by the full range, 65535 to 255, and floats in [0, 1] by 255. The range
      of other floats and of 32-bit integers is not known, so they are scaled from their minimum
      and maximum.

    Args:
        path: The file.

    Returns:
        uint8 (H, W) if gray, else (H, W, 3).

    Raises:
        DatasetError: If the file is missing, damaged, truncated or not an image, has more than
            `medzoo.images.convert.MAX_PIXELS` pixels, or is DICOM and pydicom is not installed; the
            message names the file.
    """
    path = Path(path)
    if not path.is_file():
        if path.is_dir():
            problem = "is a folder"
        else:
            problem = "is not a regular file" if path.exists() else "does not exist"
        raise DatasetError(f"{path} {problem}; give the path of an image file")
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        return read_dicom(path) if is_dicom(head) else _read(path)
    except UnidentifiedImageError as error:
        reason = "unknown format"
        if lacks_preamble(head) or path.suffix.lower() in (".dcm", ".dicom"):
            reason = (
                "it seems to be a DICOM file without the preamble (128 bytes, then DICM) that "
                "identifies it; save it again as a complete DICOM file"
            )
        raise DatasetError(f"cannot read {str(path)!r} as an image: {reason}") from error
    except Exception as error:  # decoders raise many kinds of errors, some with several lines
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"cannot read {str(path)!r} as an image: {reason}") from error


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        if image.format == "EPS":
            raise ValueError("PostScript files are programs and are not run; save it as PNG")
        if image.format == "DDS" and _PILLOW < 13:
            raise ValueError("of a DDS file, Pillow before 13 may read a part; save it as PNG")
        check_pixels(image.width, image.height)
        if image.format == "JPEG" and (scans := path.read_bytes().count(_SCAN)) > _MAX_SCANS:
            raise ValueError(f"it has {scans} scans, expected at most {_MAX_SCANS}; save it again")
        image.load()
        pixels = decode_pixels(image)
        if pixels.dtype == np.uint8:
            return pixels
        if _has_32_bits(image):
            return numbers_to_uint8(pixels, full_range=None)
        return numbers_to_uint8(pixels, full_range=1.0 if image.mode == "F" else MAX_16_BIT)


def _has_32_bits(image: Image.Image) -> bool:
    """Return whether integers have 32 bits; Pillow also opens some 16-bit files in mode I."""
    if image.mode != "I":
        return False
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        return tags.get(_BITS_PER_SAMPLE) != (16,)
    return image.format not in _AT_MOST_16_BIT
