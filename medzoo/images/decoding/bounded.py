"""Recognise files whose decoding is bounded by their header and their size alone.

Decoding takes time and memory in proportion to the pixels, which are limited. But decoders also
read what is around the pixels, and a small file can make them spend minutes or gigabytes there: on
many pieces of metadata, on values that overlap each other, on compressed text, on passes over the
image. JPEG, PNG and BMP files without any of this are decoded in the process; it takes
microseconds to see that they are. All other files go to a worker that can be ended.
"""

from __future__ import annotations

import struct

BOUNDED_FORMATS = ("JPEG", "PNG", "BMP")
MAX_BOUNDED_BYTES = 1 << 26
"""Size above which no file is decoded in the process."""

SCAN = b"\xff\xda"  # the marker of a scan in JPEG files; compressed data never contain it
_JPEG, _PNG, _BMP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"

_MAX_PIECES = 1000  # of metadata; ordinary files have a few
_MAX_METADATA = 1 << 20  # bytes of the values of an EXIF directory
_MAX_SCANNED = 1 << 28  # pixels times scans of a JPEG file
_BYTES_A_CHUNK = 2048  # of a PNG file, at least; encoders write 4096 and more

_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive JPEG with Huffman codes
_SEGMENTS = frozenset([*_FRAMES, 0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE])
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_HEX_EXIF = b"Raw profile type exif"  # in a chunk of text, possibly compressed

_BMP_HEADERS = (40, 52, 56, 64, 108, 124)
_BMP_UNCOMPRESSED = (0, 3)


def may_be_bounded(head: bytes) -> bool:
    """Return whether a file has one of the formats of which many files are bounded.

    Args:
        head: Its first bytes, at least 8.
    """
    return head.startswith((_JPEG, _PNG, _BMP))


def is_bounded(content: bytes) -> bool:
    """Return whether decoding a file takes time and memory in proportion to its pixels.

    Args:
        content: The complete file.
    """
    if len(content) > MAX_BOUNDED_BYTES:
        return False
    try:
        if content.startswith(_JPEG):
            return _is_bounded_jpeg(content)
        if content.startswith(_PNG):
            return _is_bounded_png(content)
        header, compression = struct.unpack_from("<14xI12xI", content)
        is_plain = header in _BMP_HEADERS and compression in _BMP_UNCOMPRESSED
        return content.startswith(_BMP) and is_plain
    except struct.error:  # it ends too early
        return False


def _is_bounded_jpeg(content: bytes) -> bool:
    """Walk through the segments before the first scan, as Pillow does."""
    place, pixels, exif = 2, 0, b""
    for _ in range(_MAX_PIECES):
        start, marker, length = struct.unpack_from(">BBH", content, place)
        if start == 0xFF and marker == SCAN[1]:
            is_small = 0 < pixels * content.count(SCAN) <= _MAX_SCANNED
            return is_small and (not exif or _is_bounded_directory(exif))
        if start != 0xFF or marker not in _SEGMENTS or length < 2:
            return False
        segment = content[place + 4 : place + 2 + length]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">xHH", segment)
            if pixels:  # two frames
                return False
            pixels = height * width
        elif marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            exif += segment[6:] if exif else segment
            if len(exif) > _MAX_METADATA:
                return False
        elif (
            marker == 0xE2
            and segment.startswith(b"MPF\0")
            and not _is_bounded_directory(segment[4:])
        ):
            return False
        place += 2 + length
    return False


def _is_bounded_png(content: bytes) -> bool:
    """Walk through the chunks, as Pillow does."""
    place = len(_PNG)
    for _ in range(_MAX_PIECES + len(content) // _BYTES_A_CHUNK):
        length, kind = struct.unpack_from(">I4s", content, place)
        data = place + 8
        if kind == b"IEND":
            return True
        if kind in _ANIMATION or (kind != b"IDAT" and content.startswith(_HEX_EXIF, data)):
            return False
        if kind == b"eXIf" and not _is_bounded_directory(content[data : data + length]):
            return False
        place = data + length + 4
    return False


def _is_bounded_directory(exif: bytes) -> bool:
    """Return whether the values of the first directory of EXIF or of MPF data are small.

    Several entries may refer to the same bytes, so a small file may have gigabytes of them.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return False
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    entries = exif[start + 2 : start + 2 + 12 * count]
    values = struct.iter_unpack(order + "4xI4x", entries[: len(entries) // 12 * 12])
    return 8 * sum(number for (number,) in values) <= _MAX_METADATA  # 8 bytes are the largest type
