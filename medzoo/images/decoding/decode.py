"""Decode one image file of any format into 8-bit pixels; for use in the process and in workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

from medzoo.images.decoding.bounded import SCAN
from medzoo.images.decoding.dicom import is_dicom, lacks_preamble, read_dicom
from medzoo.images.decoding.limits import MAX_SCANS
from medzoo.images.decoding.pixels import pixels_to_uint8

FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI"),
    *("SGI", "TGA", "TIFF", "WEBP"),
)
"""Names of the formats that Pillow may decode, of the many that it knows; HEIF with pillow-heif."""

HEAD = 132
"""Bytes by which a format is recognised; the last four identify a DICOM file."""

_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")

Reserve: TypeAlias = Callable[[int, int], None]
"""Is called with width and height before an image is decoded, and may raise an error."""


class NotWantedError(Exception):
    """Raised by a `Reserve`: the file is an image, and its pixels are not needed."""


def may_be_image(head: bytes) -> bool:
    """Return whether a file starts like an image of one of the formats.

    Args:
        head: Its first `HEAD` bytes, or all if it is smaller.
    """
    if is_dicom(head):
        return True
    tests = (test for name in _available(FORMATS) if (test := Image.OPEN[name][1]))
    return any(test(head) is True for test in tests)


def decode(
    stream: BinaryIO, name: str, reserve: Reserve, formats: Iterable[str] = FORMATS
) -> tuple[np.ndarray, int]:
    """Decode an image file; see `medzoo.images.file.read_image`.

    Args:
        stream: The file, at its start.
        name: What it is called.
        reserve: Called with width and height before the pixels are decoded.
        formats: The formats that Pillow may decode.

    Returns:
        uint8 (H, W) or (H, W, 3), and the largest value that the file stores in 16 bits; 0 if it
        stores other values.

    Raises:
        Exception: Of any kind, if the file cannot be read.
    """
    head = stream.read(HEAD)
    stream.seek(0)
    if is_dicom(head):
        return read_dicom(stream, reserve), 0
    try:
        image = Image.open(stream, formats=_available(formats))
    except UnidentifiedImageError as error:
        raise ValueError(_reason(head, name)) from error
    with image:
        reserve(image.width, image.height)
        if image.format in ("JPEG", "MPO"):
            stream.seek(0)
            if (scans := stream.read().count(SCAN)) > MAX_SCANS:
                raise ValueError(
                    f"it has {scans} scans, expected at most {MAX_SCANS}; save it again"
                )
        return pixels_to_uint8(image)


def _available(formats: Iterable[str]) -> list[str]:
    Image.preinit()
    if not all(name in Image.OPEN for name in formats):
        Image.init()
    return [name for name in formats if name in Image.OPEN]


def _reason(head: bytes, name: str) -> str:
    if lacks_preamble(head) or name.rstrip("'").lower().endswith((".dcm", ".dicom")):
        return (
            "it seems to be a DICOM file without the preamble (128 bytes, then DICM) that "
            "identifies it; save it again as a complete DICOM file"
        )
    if head.startswith(_POSTSCRIPT):
        return "PostScript files are programs and are not run; save it as PNG"
    return f"unknown format, expected DICOM, {', '.join(FORMATS)}; save it as PNG"
