"""Find images that have a near-duplicate in another split, by comparing pixels only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

from medzoo.datasets.dataset import Dataset
from medzoo.datasets.info import SplitName
from medzoo.datasets.leakage.alignment import MAX_PAIRS_PER_IMAGE, measure_candidates
from medzoo.datasets.leakage.candidates import find_candidates
from medzoo.datasets.leakage.duplicates import exact_copies
from medzoo.datasets.leakage.report import LeakageReport, LeakedPair
from medzoo.datasets.leakage.similarity import Similarity, thumbnails
from medzoo.datasets.validation import check_dataset
from medzoo.errors import as_number

DEFAULT_THRESHOLD = 0.5

_MIN_SIMILARITY = 0.7  # cosine; below, images have little in common, even if others have less
_ENOUGH_IMAGES = 700  # with fewer images, pairs have to be more similar
_ROUNDING = 1e-6  # of a cosine; closer to 1, similarities cannot be distinguished
_QUERIES = 8192  # images searched for at once: bounds the memory


def find_leakage(data: Dataset, threshold: float = DEFAULT_THRESHOLD) -> LeakageReport:
    """Find images that have a near-duplicate in another split.

    For example, two photographs of the same lesion that differ in rotation, zoom, shift and
    brightness. If one of them is in training, a test on the other inflates the test scores.

    Each validation image is compared with the whole training split, and each test image with both
    other splits. The most similar images are then aligned with each other. The distance of a pair
    is that of the aligned images, divided by the distance that the other candidates of the same
    image typically have, so one threshold suits data sets with much and with little variety.

    In data sets with fewer than 700 images, pairs have to be more similar the fewer images there
    are, because a few images do not show which features are typical of the whole data set; with
    fewer than about 40 images, only exact copies are found. Exact copies are found in every data
    set, pixel by pixel. For each image, at most six pairs are reported, and at most six exact
    copies in each other split.

    The result is the same in every run on one machine. The time grows with the square of the
    number of images, the memory only linearly.

    Args:
        data: Any data set.
        threshold: Distance below which a pair is reported, above 0 and at most 1. The default was
            chosen for high precision, on known pairs of the training and validation splits of
            DermaMNIST. A higher threshold finds more pairs, but also more false ones.

    Returns:
        The pairs, closest first, with counts.

    Raises:
        TypeError: If `data` is not a whole data set, or the threshold is not a number.
        ValueError: If there is only one split, or the threshold is not above 0 and at most 1.
    """
    check_dataset("data", data)
    example = f"above 0 and at most 1; e.g. {DEFAULT_THRESHOLD}"
    threshold = as_number("threshold", threshold, f"a number {example}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold!r} must be {example}")
    if len(data.splits) < 2:
        raise ValueError(
            f"{data.title} has only a {next(iter(data.splits))} split; leakage is between splits"
        )
    with torch.no_grad():
        small = {name: thumbnails(split.images) for name, split in data.splits.items()}
        copies = _exact_pairs(data, small)
        known = {pair[:4] for pair in copies}
        similar = [
            pair
            for pair in _similar_pairs(small)
            if pair.distance < threshold and pair[:4] not in known
        ]
    pairs = copies + similar
    pairs.sort(key=lambda pair: (pair.distance, *pair))
    return LeakageReport(
        title=data.title,
        provenance=data.provenance.to_dict(),
        sizes={name: len(split) for name, split in data.splits.items()},
        threshold=threshold,
        pairs=tuple(pairs),
    )


def _exact_pairs(data: Dataset, small: Mapping[SplitName, Tensor]) -> list[LeakedPair]:
    """Return the pairs of identical images, given the thumbnails of each split."""
    return [
        LeakedPair(a, index, b, query, 0.0)
        for a, b in combinations(data.splits, 2)
        for query, index in exact_copies(
            data.splits[b].images, data.splits[a].images, small[b], small[a], MAX_PAIRS_PER_IMAGE
        )
    ]


def _similar_pairs(small: Mapping[SplitName, Tensor]) -> list[LeakedPair]:
    """Return the pairs of similar images at any distance, given the thumbnails of each split."""
    everything = torch.cat(list(small.values()))
    min_similarity = _min_similarity(len(everything))
    if min_similarity > 1 - _ROUNDING:
        return []
    similarity = Similarity(everything)
    pairs = []
    names = list(small)
    # Images of a split are searched for in all earlier splits at once, so that their best
    # candidates from these compete.
    for number, name in enumerate(names[1:], start=1):
        owner = [(other, index) for other in names[:number] for index in range(len(small[other]))]
        pool = torch.cat([small[other] for other in names[:number]])
        found = _search(similarity, small[name], pool, min_similarity)
        pairs += [LeakedPair(*owner[index], name, query, far) for query, index, far in found]
    return pairs


def _min_similarity(count: int) -> float:
    """Return the similarity that a pair must have, given the total number of images.

    Unrelated directions in n dimensions have a cosine above t in about (1 - t^2)^(n/2) of all
    cases. The number of dimensions that can be estimated grows with the number of images. For
    small data sets, t is chosen such that a chance match remains as unlikely as with
    `_ENOUGH_IMAGES`.
    """
    return math.sqrt(1 - (1 - _MIN_SIMILARITY**2) ** max(1.0, _ENOUGH_IMAGES / count))


def _search(
    similarity: Similarity, queries: Tensor, pool: Tensor, min_similarity: float
) -> list[tuple[int, int, float]]:
    """Return query, index in the pool and distance of each pair that is similar enough."""
    found = []
    for start in range(0, len(queries), _QUERIES):
        block = queries[start : start + _QUERIES]
        candidates = find_candidates(similarity, block, pool)
        pairs = measure_candidates(similarity, block, pool, candidates, min_similarity)
        found += [(start + query, index, distance) for query, index, distance in pairs]
    return found
