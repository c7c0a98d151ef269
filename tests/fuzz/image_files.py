"""Damaged image files, with what a prediction says of them, and files with costly metadata."""

from __future__ import annotations

import io
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import medzoo
from medzoo.images import read_image
from tests.fuzz.corrupt import damaged, whole_files
from tests.fuzz.readers import Case

_PNG_HEADER = 33  # bytes before the first chunk that is not the header
_MARKERS = (0xE0, 0xE1, 0xE1, 0xE2, 0xE2, 0xED, 0xEE, 0xFE, 0xC0, 0xC4, 0xDA, 0xDB, 0xDD, 0xF0)
_STARTS = (b"", b"JFIF\0", b"Exif\0\0", b"MPF\0", b"ICC_PROFILE\0", b"Photoshop 3.0\0", b"Adobe")
_CHUNKS = (b"eXIf", b"zTXt", b"iTXt", b"tEXt", b"iCCP", b"teSt", b"IDAT", b"IHDR", b"acTL", b"tRNS")
_KEYS = (b"", b"Raw profile type exif\0\0", b"XML:com.adobe.xmp\0\0\0\0\0", b"a\0\0")


def cases() -> dict[str, Case]:
    """Return the kinds of image files by name."""
    files = whole_files()
    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 4, 4))
    predict = partial(medzoo.predict, model, device="cpu")
    refusal = (medzoo.DatasetError,)
    return {
        "images": Case(lambda number: damaged(number, files)[2], predict, refusal, "", in_suite=12),
        "image metadata": Case(_with_metadata, _read_pixels, refusal, "", in_suite=12),
    }


def _read_pixels(path: Path) -> None:
    assert read_image(path).dtype == np.uint8


def _with_metadata(number: int) -> bytes:
    """Return a JPEG or PNG file with up to thousands of pieces of odd metadata."""
    rng = np.random.default_rng([6, number])
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7)).save(buffer, "JPEG" if number % 2 else "PNG")
    whole = buffer.getvalue()
    count = int(rng.choice([1, 2, 30, 3000]))
    if number % 2:
        parts = [_segment(rng) for _ in range(rng.integers(1, 4))]
        return whole[:2] + b"".join(parts) * count + whole[2:]
    parts = [_chunk(rng) for _ in range(rng.integers(1, 4))]
    return whole[:_PNG_HEADER] + b"".join(parts) * count + whole[_PNG_HEADER:]


def _segment(rng: np.random.Generator) -> bytes:
    content = _STARTS[rng.integers(len(_STARTS))] + _content(rng, 2000)
    length = len(content) + 2 if rng.random() < 0.9 else rng.integers(1 << 16)
    return bytes([0xFF, rng.choice(_MARKERS)]) + struct.pack(">H", length) + content


def _chunk(rng: np.random.Generator) -> bytes:
    kind, content = _CHUNKS[rng.integers(len(_CHUNKS))], _content(rng, 20_000)
    if kind in (b"zTXt", b"iCCP") and rng.random() < 0.5:
        content = zlib.compress(content * 20)
    content = _KEYS[rng.integers(len(_KEYS))] + content
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _content(rng: np.random.Generator, limit: int) -> bytes:
    """Return a directory of EXIF whose values may overlap, or anything else."""
    if rng.random() < 0.3:
        return rng.bytes(rng.integers(200))
    order = "<>"[rng.integers(2)]
    entries = [
        struct.pack(
            order + "HHII",
            rng.choice([0x0112, 0x010F, 0x011A, 0xB001, 0xB002, rng.integers(1 << 16)]),
            rng.integers(15),
            rng.choice([0, 1, 6, limit, 1 << 20, 1 << 31]),
            rng.choice([6, 0, 8, limit // 2, 1 << 30]),
        )
        for _ in range(rng.integers(40))
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    return head + b"".join(entries) + bytes(rng.integers(limit))
