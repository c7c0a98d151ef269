"""Reading one image file, of any format, into 8-bit gray or RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medzoo.errors import DatasetError
from medzoo.images.convert import check_pixels, to_8_bit
from medzoo.images.dicom import is_dicom, lacks_preamble, read_dicom

_NAMES = (
    "apng avif bmp dcm dib dicom gif ico j2k jfif jp2 jpe jpeg jpg jpx "
    "pbm pcx pgm png pnm ppm qoi sgi tga tif tiff webp"
)
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""Endings, in lower case, of files that are taken for images without looking into them."""

_HEAD = 132  # bytes, of which the last four tell a DICOM file
_FULL_16_BIT = 65535
_SCAN = b"\xff\xda"  # JPEG's marker, which compressed data never contain
_MOST_SCANS = 100  # progressive files have ten or so; each costs a pass over the whole image
_AT_MOST_16_BIT = ("PNG", "PPM")
_BITS_PER_SAMPLE = 258  # TIFF's number of the tag
_WITH_ALPHA = ("la", "pa", "rgba")  # in upper case, or partly in lower case if premultiplied


def is_image(path: Path) -> bool:
    """Tell whether a file is meant as an image: by its ending, or else by its first bytes.

    Args:
        path: A file. That it can be read to its end is not promised.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as stream:
            if is_dicom(stream.read(_HEAD)):
                return True
        with Image.open(path):
            return True
    except Exception:  # Pillow's plugins raise many kinds of errors for what is not theirs
        return False


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file; its content, not its name, says which format it has.

    - Any format that Pillow decodes by itself, and DICOM with ``pip install 'medzoo[dicom]'``.
      PostScript is refused: decoding it means running it.
    - The first frame of animations and of multi-frame files.
    - Turned upright as the camera noted (EXIF). Transparency is laid on black; palettes, CMYK and
      the like become RGB.
    - 16-bit gray is scaled by its full range, 65535 to 255, floats in [0, 1] by 255. Other floats
      and 32-bit integers do not tell their range, and are stretched from their smallest to their
      largest value.
    - DICOM: see `medzoo.images.dicom.read_dicom`.

    Args:
        path: The file.

    Returns:
        uint8 (H, W) if gray, else (H, W, 3).

    Raises:
        DatasetError: If the file is missing, damaged, truncated, no image, of more than
            `medzoo.images.convert.MAX_PIXELS` pixels, or DICOM without pydicom; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no file" if path.exists() else "is missing"
        raise DatasetError(f"{path} {what}; give the path of an image file")
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        return read_dicom(path) if is_dicom(head) else _read(path)
    except UnidentifiedImageError as error:
        reason = "unknown format"
        if lacks_preamble(head) or path.suffix.lower() in (".dcm", ".dicom"):
            reason = (
                "it seems to be a DICOM file without the preamble (128 bytes, then DICM) that "
                "tells it as one; save it anew as a complete DICOM file"
            )
        raise DatasetError(f"cannot read {str(path)!r} as an image: {reason}") from error
    # For damaged files the decoders raise many kinds of errors, some of several lines.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"cannot read {str(path)!r} as an image: {reason}") from error


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        if image.format == "EPS":
            raise ValueError("PostScript is a program, which is not run; save it as PNG")
        check_pixels(image.width, image.height)
        if image.format == "JPEG" and (scans := path.read_bytes().count(_SCAN)) > _MOST_SCANS:
            raise ValueError(f"it has {scans} scans, expected at most {_MOST_SCANS}; save it anew")
        image.load()
        full = 1.0 if image.mode == "F" else None if _has_32_bits(image) else _FULL_16_BIT
        return _to_uint8(ImageOps.exif_transpose(image), full)


def _has_32_bits(image: Image.Image) -> bool:
    """Tell integers of 32 bits from those of 16, which Pillow also opens in mode I."""
    if image.format == "TIFF":
        return image.mode == "I" and image.tag_v2.get(_BITS_PER_SAMPLE) != (16,)  # type: ignore[attr-defined]
    return image.mode == "I" and image.format not in _AT_MOST_16_BIT


def _to_uint8(image: Image.Image, full: float | None) -> np.ndarray:
    if image.mode == "F" or image.mode.startswith("I"):
        return _scaled(np.asarray(image), full)
    gray = image.mode in ("1", "L", "LA", "La")
    if image.mode.lower() not in _WITH_ALPHA and "transparency" not in image.info:
        return np.array(image.convert("L" if gray else "RGB"))
    pixels = np.array(image.convert("LA" if gray else "RGBA"))
    *colours, alpha = np.moveaxis(pixels, -1, 0)
    wide = alpha.astype(np.uint16)
    # A channel at a time, since all of a large image in 16 bits would be most of the memory.
    on_black = [((colour * wide + 127) // 255).astype(np.uint8) for colour in colours]
    return on_black[0] if gray else np.stack(on_black, axis=-1)


def _scaled(values: np.ndarray[Any, Any], full: float | None) -> np.ndarray:
    """Scale values in [0, full] by that, and others, or all if it is None, by their extremes."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("none of its values is a finite number")
    low, high = float(finite.min()), float(finite.max())
    if full is not None and low >= 0 and high <= full:
        low, high = 0.0, full
    return to_8_bit(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)
