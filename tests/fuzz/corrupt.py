"""Image files of every format, and ways to corrupt them, for fuzz tests of reading images."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz.dicom_files import dicom_file

WIDTH, HEIGHT = 97, 61
_HEADER = 256  # bytes
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
_LARGE = (8191, 20_000, 65_535)

_SAVED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "AVIF": [("RGB", {}), ("RGBA", {})],
    "BMP": [("RGB", {}), ("P", {}), ("1", {})],
    "GIF": [("P", {}), ("L", {"save_all": True})],
    "ICO": [("RGBA", {}), ("RGB", {"bitmap_format": "bmp"})],
    "JPEG": [("RGB", {}), ("L", {"progressive": True}), ("CMYK", {})],
    "JPEG2000": [("RGB", {}), ("L", {"irreversible": True, "quality_layers": [20]})],
    "PCX": [("RGB", {}), ("P", {})],
    "PNG": [("RGBA", {}), ("P", {}), ("I;16", {}), ("RGB", {"save_all": True})],
    "PPM": [("RGB", {}), ("L", {}), ("I;16", {})],
    "QOI": [("RGB", {})],
    "SGI": [("RGB", {}), ("L", {"bpc": 2})],
    "TGA": [("RGB", {}), ("P", {"compression": "tga_rle"})],
    "TIFF": [
        ("RGB", {"compression": "tiff_lzw"}),
        ("CMYK", {"compression": "tiff_deflate"}),
        ("F", {}),
        ("1", {"compression": "group4"}),
        ("RGB", {"compression": "jpeg"}),
        ("I;16", {"save_all": True}),
    ],
    "WEBP": [("RGB", {"lossless": True}), ("RGBA", {"save_all": True})],
}


def whole_files() -> dict[str, list[bytes]]:
    """Return a few intact files of DICOM and of each format that Pillow can write here."""
    Image.init()
    files = {
        name: [_saved(name, mode, options) for mode, options in variants]
        for name, variants in _SAVED.items()
        if name in Image.SAVE
    }
    return files | {"DICOM": _dicom_files()}


def damaged(index: int, files: dict[str, list[bytes]]) -> tuple[str, str, bytes]:
    """Return one damaged file; the same index always gives the same file.

    Args:
        index: Number of the file; consecutive numbers cycle through the formats.
        files: Intact files, as `whole_files` returns them.

    Returns:
        Format, kind of damage, and content.
    """
    rng = np.random.default_rng(index)
    name = sorted(files)[index % len(files)]
    content = files[name][rng.integers(len(files[name]))]
    kind = str(rng.choice(list(_WAYS)))
    other = files[str(rng.choice(sorted(files)))][0]
    return name, kind, _WAYS[kind](bytearray(content), rng, other)


def _flip_bits(content: bytearray, rng: np.random.Generator, other: bytes) -> bytes:
    for place in rng.integers(8 * len(content), size=rng.integers(1, 33)):
        content[place // 8] ^= 1 << place % 8
    return bytes(content)


def _truncate(content: bytearray, rng: np.random.Generator, other: bytes) -> bytes:
    return bytes(content[: rng.integers(len(content))])


def _edit_header(content: bytearray, rng: np.random.Generator, other: bytes) -> bytes:
    for _ in range(rng.integers(1, 9)):
        place, count = rng.integers(min(_HEADER, len(content))), rng.choice((1, 2, 4))
        content[place : place + count] = bytes([rng.choice(_EXTREMES)]) * count
    return bytes(content)


def _splice(content: bytearray, rng: np.random.Generator, other: bytes) -> bytes:
    start, stop = np.sort(rng.integers(len(content), size=2))
    first, last = np.sort(rng.integers(len(other), size=2))
    content[start:stop] = other[first:last]
    return bytes(content)


def _claim_a_size(content: bytearray, rng: np.random.Generator, other: bytes) -> bytes:
    """Replace width and height, in any encoding, by large numbers; fix the checksum of PNG."""
    written = bytes(content)
    for number in (WIDTH, HEIGHT):
        large = int(rng.choice(_LARGE))
        for layout in ("<I", ">I", "<H", ">H"):
            written = written.replace(struct.pack(layout, number), struct.pack(layout, large), 2)
        written = written.replace(str(number).encode(), str(large).encode(), 1)
    if written.startswith(b"\x89PNG"):
        written = written[:29] + struct.pack(">I", zlib.crc32(written[12:29])) + written[33:]
    return written


_WAYS: dict[str, Callable[[bytearray, np.random.Generator, bytes], bytes]] = {
    "bit flips": _flip_bits,
    "truncation": _truncate,
    "header edit": _edit_header,
    "splice": _splice,
    "bomb": _claim_a_size,
}


def _picture(mode: str) -> Image.Image:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    if mode == "I;16":
        return Image.fromarray((rows * columns * 11).astype(np.uint16))
    if mode == "F":
        return Image.fromarray((rows * columns / 6000).astype(np.float32))
    noise = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH))
    colour = np.stack([2 * columns + noise, 3 * rows, 190 - columns], axis=-1)
    picture = Image.fromarray(colour.astype(np.uint8))
    if mode == "RGBA":
        picture.putalpha(Image.fromarray((4 * rows).astype(np.uint8)))
    return picture.convert(mode)


def _saved(name: str, mode: str, options: dict[str, Any]) -> bytes:
    picture, buffer = _picture(mode), io.BytesIO()
    if "save_all" in options:
        options = options | {"append_images": [picture.rotate(180)]}
    if name in ("JPEG", "PNG", "TIFF", "WEBP"):
        options = options | {"exif": _exif()}
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    exif[0x010F] = "camera"
    return exif


def _dicom_files() -> list[bytes]:
    from pydicom import uid
    from pydicom.encaps import encapsulate

    gray = np.asarray(_picture("L"))
    deep = gray.astype(np.uint16) * 16
    window: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 900}
    window |= {"RescaleSlope": 2, "RescaleIntercept": -9}
    ramp = bytes(range(256))
    palette: dict[str, Any] = {}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        palette[f"{colour}PaletteColorLookupTableData"] = ramp
    jpeg = encapsulate([_saved("JPEG", "L", {})])
    jpeg2000 = encapsulate([_saved("JPEG2000", "L", {"no_jp2": True})])
    in_boxes = encapsulate([_saved("JPEG2000", "L", {})])
    frames: dict[str, Any] = {"NumberOfFrames": 3, "PixelData": 3 * deep.tobytes() + b"\0"}
    return [
        dicom_file(deep, "MONOCHROME2", **window),
        dicom_file(deep, "MONOCHROME1", **frames),
        dicom_file(np.asarray(_picture("RGB")), "RGB"),
        dicom_file(gray, "PALETTE COLOR", **palette),
        dicom_file(deep, "MONOCHROME2", uid.RLELossless, **window),
        dicom_file(gray, "MONOCHROME2", uid.JPEGBaseline8Bit, PixelData=jpeg),
        dicom_file(gray, "MONOCHROME2", uid.JPEG2000Lossless, PixelData=jpeg2000),
        dicom_file(gray, "MONOCHROME2", uid.JPEG2000Lossless, PixelData=in_boxes),
    ]
