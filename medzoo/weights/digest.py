"""The digest in the header of a weights file: the sha256 of everything else in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

HEADER_KEY = "medzoo"
"""The entry of a weights file's metadata that holds its header, as JSON."""
NO_DIGEST = "0" * 64
"""What the header has in place of the digest while the digest is computed."""

# safetensors writes its metadata first, and "digest" is the first name in the header. So all files
# begin in the same way after the 8 bytes of a length, and their digests have the same place.
_BEFORE = rb'{"__metadata__":{"medzoo":"{\"digest\": \"'
_START = 8 + len(_BEFORE)
_STOP = _START + len(NO_DIGEST)


def digest_in(content: bytes) -> str | None:
    """Return the digest that a weights file states, or None if it states none.

    Args:
        content: The file, or as much of its beginning as the header takes.
    """
    return content[_START:_STOP].decode("latin-1") if content[8:_START] == _BEFORE else None


def digest_of(beginning: bytes, rest: Iterable[bytes | memoryview] = ()) -> str:
    """Return the digest that a weights file should state.

    Args:
        beginning: The file up to the end of its header or later; it states some digest.
        rest: What follows, in blocks.
    """
    digest = hashlib.sha256(beginning[:_START] + NO_DIGEST.encode())
    digest.update(memoryview(beginning)[_STOP:])
    for block in rest:
        digest.update(block)
    return digest.hexdigest()


def with_digest(content: bytes) -> bytes:
    """Return a weights file with its digest.

    Args:
        content: The file, with `NO_DIGEST` in its place.
    """
    assert digest_in(content) == NO_DIGEST, "safetensors writes metadata in another way"
    return b"".join((content[:_START], digest_of(content).encode(), memoryview(content)[_STOP:]))
