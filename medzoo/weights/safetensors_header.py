"""The beginning of a safetensors file: what it says about its tensors, and about itself."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from medzoo.files import parse_json


def read_safetensors_header(stream: BinaryIO, most: int) -> tuple[bytes, dict[str, Any]]:
    """Read a safetensors file up to its first tensor; the file must have the size that it says.

    Args:
        stream: The file, at its beginning.
        most: Bytes that the header may take; parsed JSON takes many times as much.

    Returns:
        The bytes, and the values in them: a description of each tensor, and ``__metadata__``.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: If it is not such a file.
    """
    start = stream.read(8)
    length = int.from_bytes(start, "little")
    if length > most:
        raise ValueError(f"a header of {length:,} bytes, expected at most {most:,}")
    content = stream.read(length)
    values: dict[str, Any] = parse_json(content.decode())
    tensors = (value for name, value in values.items() if name != "__metadata__")
    expected = 8 + length + max((value["data_offsets"][1] for value in tensors), default=0)
    size = size_of(stream)
    if size != expected:
        raise ValueError(f"{size:,} bytes, expected {expected:,}")
    return start + content, values


def size_of(stream: BinaryIO) -> int:
    """Return the size of an open file, in bytes.

    Args:
        stream: The file, at any position, where it stays.
    """
    here = stream.tell()
    size = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return size
