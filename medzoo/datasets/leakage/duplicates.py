"""Find images that are identical in two splits, pixel by pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from medzoo.datasets.storage.mmap import take_rows


def exact_copies(
    queries: Tensor, pool: Tensor, small_queries: Tensor, small_pool: Tensor, limit: int
) -> Iterator[tuple[int, int]]:
    """Yield the images that also occur in a pool.

    Full images are read only where their thumbnails are equal, so that large data sets are not
    read a second time, and each once: thousands of nearly black images have the same thumbnail.

    Args:
        queries: uint8 (Q, C, H, W): the images.
        pool: uint8 (P, C, H, W): the images to compare them with.
        small_queries: uint8 (Q, C, h, w): thumbnails of the images.
        small_pool: uint8 (P, C, h, w): thumbnails of the pool.
        limit: Maximum number of copies per image; blank images may have thousands.

    Yields:
        Index of an image, and index of its copy in the pool.
    """
    if queries.shape[1:] != pool.shape[1:]:
        return
    indices: dict[bytes, list[int]] = {}
    for index, small in enumerate(small_pool.numpy()):
        indices.setdefault(small.tobytes(), []).append(index)
    by_digest: dict[bytes, list[int]] = {}  # of the images of the pool that were read
    for query, small in enumerate(small_queries.numpy()):
        thumbnail = small.tobytes()
        if thumbnail not in indices:
            continue
        for index in indices[thumbnail]:
            by_digest.setdefault(_digest(pool, index), []).append(index)
        indices[thumbnail] = []  # they were read
        copies = by_digest.get(_digest(queries, query), ())
        yield from ((query, index) for index in islice(copies, limit))


def _digest(images: Tensor, index: int) -> bytes:
    """Return a digest of one image; equal ones are equal images."""
    pixels = take_rows(images, torch.tensor([index]))
    return hashlib.sha256(pixels.numpy().tobytes()).digest()
