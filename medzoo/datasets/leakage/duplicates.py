"""Find images that are identical in two splits, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor


def exact_copies(
    queries: Tensor, pool: Tensor, small_queries: Tensor, small_pool: Tensor, limit: int
) -> Iterator[tuple[int, int]]:
    """Yield the images that also occur in a pool.

    Full images are compared only where their thumbnails are equal, so that large data sets are
    not read a second time.

    Args:
        queries: uint8 (Q, C, H, W): the images.
        pool: uint8 (P, C, H, W): the images to compare them with.
        small_queries: uint8 (Q, C, h, w): thumbnails of the images.
        small_pool: uint8 (P, C, h, w): thumbnails of the pool.
        limit: Maximum number of copies per image; blank images may have thousands.

    Yields:
        Index of an image, and index of its copy in the pool.
    """
    indices: dict[bytes, list[int]] = {}
    for index, small in enumerate(small_pool.numpy()):
        indices.setdefault(small.tobytes(), []).append(index)
    for query, small in enumerate(small_queries.numpy()):
        equal_thumbnails = indices.get(small.tobytes(), ())
        copies = (index for index in equal_thumbnails if torch.equal(pool[index], queries[query]))
        yield from ((query, index) for index in islice(copies, limit))
