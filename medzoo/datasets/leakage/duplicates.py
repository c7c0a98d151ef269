"""Finding images that are the same in two splits, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor


def exact_copies(
    queries: Tensor, pool: Tensor, small_queries: Tensor, small_pool: Tensor, most: int
) -> Iterator[tuple[int, int]]:
    """Yield which images are in a pool, too.

    Whole images are compared only where the small ones are the same, so that large sets are not read
    once more.

    Args:
        queries: uint8 (Q, C, H, W): the images.
        pool: uint8 (P, C, H, W): where to look for them.
        small_queries: uint8 (Q, C, h, w): the images made small.
        small_pool: uint8 (P, C, h, w): those of the pool, likewise.
        most: How many copies of one image to find at most; blank images may have thousands.

    Yields:
        Position of an image, and of its copy in the pool.
    """
    places: dict[bytes, list[int]] = {}
    for place, small in enumerate(small_pool.numpy()):
        places.setdefault(small.tobytes(), []).append(place)
    for query, small in enumerate(small_queries.numpy()):
        alike = places.get(small.tobytes(), ())
        same = (place for place in alike if torch.equal(pool[place], queries[query]))
        yield from ((query, place) for place in islice(same, most))
