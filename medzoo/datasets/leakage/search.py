"""Finding images that have a near-duplicate in another split, from their pixels alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from medzoo.datasets.dataset import Dataset
from medzoo.datasets.info import SPLIT_NAMES, SplitName
from medzoo.datasets.leakage.duplicates import exact_copies
from medzoo.datasets.leakage.similarity import TURNS, Similarity, centres, thumbnails, turned
from medzoo.errors import unknown_name

DEFAULT_THRESHOLD = 0.5

_SIZE = 64  # components in the search; all of them count in the alignment
_ZOOMS = (1.0, 0.84, 0.7, 0.59, 0.5)
_FRAMES = (0.0, 0.5, 1.0)  # how far the middle of a view follows the thing shown
_SAME, _TURNED = 12, 4  # candidates an image: as it is, and turned or mirrored
_FINALISTS = 6  # of the candidates, aligned to the end
_BACKGROUND = 3  # of the finalists, the least alike: what unrelated images look like
_LEAST_ALIKE = 0.7  # cosine; below, images have little in common, however alone they stand
_ENOUGH = 700  # images; if there are fewer, they have to be more alike
_ROUNDING = 1e-6  # of a cosine; closer to 1, nothing can be told
_QUERIES, _POOL = 8192, 4096  # images compared at once: bounds the memory
_PAIRS = 2048  # pairs aligned at once
_FIRST_STEPS, _LAST_STEPS = 3, 8
_LEAST_SPREAD = 0.1  # a background closer than that does not make a pair more doubtful


class LeakedPair(NamedTuple):
    """Two images of different splits that seem to show the same thing.

    Attributes:
        split_a: The earlier split.
        index_a: Position in it.
        split_b: The later split.
        index_b: Position in it.
        distance: How far apart they are, from 0 (the same) to 1 (as far as unrelated images).
    """

    split_a: SplitName
    index_a: int
    split_b: SplitName
    index_b: int
    distance: float


@dataclass(frozen=True)
class LeakageReport:
    """What `find_leakage` found.

    Attributes:
        title: The data set's title.
        provenance: Where its images came from (`Provenance.to_dict`).
        sizes: Number of images of each split.
        threshold: Distance below which a pair counts.
        pairs: The pairs, closest first.
    """

    title: str
    provenance: dict[str, Any]
    sizes: dict[SplitName, int]
    threshold: float
    pairs: tuple[LeakedPair, ...]

    def counts(self) -> dict[tuple[SplitName, SplitName], int]:
        """Return the number of pairs of each two splits."""
        found: dict[tuple[SplitName, SplitName], int] = {
            (a, b): 0 for i, a in enumerate(SPLIT_NAMES) for b in SPLIT_NAMES[i + 1 :]
        }
        for pair in self.pairs:
            found[pair.split_a, pair.split_b] += 1
        return found

    def affected(self, split: SplitName, other: SplitName) -> list[int]:
        """Return the positions of a split's images that have a near-duplicate in another.

        Args:
            split: Whose images.
            other: Where their near-duplicates are.

        Returns:
            The positions, ascending.

        Raises:
            ValueError: If there is no such split, or both are the same.
        """
        for name in (split, other):
            if name not in SPLIT_NAMES:
                raise unknown_name("split", name, SPLIT_NAMES)
        if split == other:
            raise ValueError(f"split and other are both {split!r}; pairs are of two splits")
        places = {p.index_a for p in self.pairs if (p.split_a, p.split_b) == (split, other)}
        places |= {p.index_b for p in self.pairs if (p.split_b, p.split_a) == (split, other)}
        return sorted(places)

    @property
    def affected_test_share(self) -> float:
        """Share of test images with a near-duplicate in the training or validation split."""
        images = {*self.affected("test", "train"), *self.affected("test", "val")}
        return len(images) / self.sizes["test"]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-safe values."""
        return {
            "title": self.title,
            "provenance": dict(self.provenance),
            "sizes": dict(self.sizes),
            "threshold": self.threshold,
            "counts": {f"{a}-{b}": count for (a, b), count in self.counts().items()},
            "affected_test_share": self.affected_test_share,
            "pairs": [pair._asdict() for pair in self.pairs],
        }

    def __str__(self) -> str:
        """A summary: pairs of each two splits, the share of test images, and the closest pairs."""
        lines = [
            f"{self.title}: {len(self.pairs):,} pairs of near-duplicates across splits "
            f"(distance below {self.threshold:g})",
            "",
        ]
        for (a, b), count in self.counts().items():
            images = len(self.affected(b, a))
            lines.append(
                f"  {a:<5} - {b:<4}  {count:>6,} pairs, {images:,} of {self.sizes[b]:,} {b} images"
            )
        lines += ["", f"Test images affected: {self.affected_test_share:.1%}."]
        if self.pairs:
            lines += ["", "Closest:"]
            lines += [
                f"  {pair.split_a} {pair.index_a:,} - {pair.split_b} {pair.index_b:,}"
                f"  distance {pair.distance:.3f}"
                for pair in self.pairs[:5]
            ]
        lines += ["", "Told from pixels: look at pairs before you trust them, and expect more."]
        return "\n".join(lines)


def find_leakage(data: Dataset, threshold: float = DEFAULT_THRESHOLD) -> LeakageReport:
    """Find images that have a near-duplicate in another split.

    Such as two photographs of one lesion, differing in turn, zoom, shift and light. A model that
    has seen the one in training is not tested by the other.

    Each validation image is compared with all of the training split, each test image with both
    others. The most alike are then aligned to one another. The distance of a pair is that of the
    aligned images divided by the distance that the image's other candidates typically have, so
    one threshold fits sets of much and of little variety. In sets of fewer than 700 images, pairs
    have to be the more alike the fewer there are, since few images do not tell what is an image's
    own; below about 40, only exact copies are found. Those are found in any set, pixel by pixel. At
    most six pairs an image are reported, and six exact copies in each other split. The result is the same in every run on one machine; time grows with the square of
    the number of images, memory only with the number.

    Args:
        data: Any data set.
        threshold: Distance below which a pair counts, between 0 and 1. The default was chosen for
            high precision, on known pairs of DermaMNIST's training and validation splits. More
            finds more pairs, and more that are none.

    Returns:
        The pairs, closest first, with counts.

    Raises:
        ValueError: If the threshold is not between 0 and 1, or `data` is no whole data set.
    """
    if not isinstance(data, Dataset):
        raise ValueError(
            f"data is a {type(data).__name__}; leakage is between splits, so give the whole Dataset"
        )
    if not 0 < threshold <= 1:
        raise ValueError(
            f"threshold={threshold!r} must be above 0 and at most 1; e.g. {DEFAULT_THRESHOLD}"
        )
    with torch.no_grad():
        images = {name: thumbnails(split.images) for name, split in data.splits.items()}
        copies = _exact(data, images)
        same = {pair[:4] for pair in copies}
        alike = [p for p in _alike(images) if p.distance < threshold and p[:4] not in same]
    pairs = copies + alike
    pairs.sort(key=lambda pair: (pair.distance, *pair))
    return LeakageReport(
        title=data.title,
        provenance=data.provenance.to_dict(),
        sizes={name: len(split) for name, split in data.splits.items()},
        threshold=threshold,
        pairs=tuple(pairs),
    )


def _exact(data: Dataset, images: Mapping[SplitName, Tensor]) -> list[LeakedPair]:
    """Return the pairs of the same image, given thumbnails of each split."""
    return [
        LeakedPair(a, place, b, query, 0.0)
        for a, b in combinations(SPLIT_NAMES, 2)
        for query, place in exact_copies(
            data.splits[b].images, data.splits[a].images, images[b], images[a], _FINALISTS
        )
    ]


def _alike(images: Mapping[SplitName, Tensor]) -> list[LeakedPair]:
    """Return the pairs worth a thought, given thumbnails of each split."""
    everything = torch.cat(list(images.values()))
    least = _least_alike(len(everything))
    if least > 1 - _ROUNDING:
        return []
    likeness = Similarity(everything)
    pairs = [
        LeakedPair("train", index, "val", query, distance)
        for query, index, distance in _search(likeness, images["val"], images["train"], least)
    ]
    border = len(images["train"])
    earlier = torch.cat([images["train"], images["val"]])
    for query, index, distance in _search(likeness, images["test"], earlier, least):
        split: SplitName = "train" if index < border else "val"
        place = index if index < border else index - border
        pairs.append(LeakedPair(split, place, "test", query, distance))
    return pairs


def _least_alike(count: int) -> float:
    """Return how alike two images must be to count, of so many images in all.

    Unrelated directions of n dimensions have a cosine above t in about (1 - t^2)^(n/2) of all cases.
    The number of dimensions that is known of images grows with their number, so that chance is kept
    as it is where there are enough.
    """
    return math.sqrt(1 - (1 - _LEAST_ALIKE**2) ** max(1.0, _ENOUGH / count))


class _View(NamedTuple):
    """How two images are looked at: the first turned; both in a frame; each with a zoom."""

    turn: int
    frame: float
    zoom_query: float
    zoom_pool: float


def _views(turn: int) -> list[_View]:
    # Most copies are not turned; for those that are, a coarser search has to do.
    frames, zooms = (_FRAMES, _ZOOMS) if turn == 0 else (_FRAMES[1:2], _ZOOMS[::2])
    return [
        view
        for frame in frames
        for zoom in zooms
        for view in dict.fromkeys((_View(turn, frame, zoom, 1.0), _View(turn, frame, 1.0, zoom)))
    ]


def _search(
    likeness: Similarity, queries: Tensor, pool: Tensor, least: float
) -> list[tuple[int, int, float]]:
    """Return (query, index in the pool, distance) of each pair worth a thought."""
    found = []
    for start in range(0, len(queries), _QUERIES):
        block = queries[start : start + _QUERIES]
        candidates = _candidates(likeness, block, pool)
        for query, index, distance in _measure(likeness, block, pool, least, *candidates):
            found.append((start + query, index, distance))
    return found


def _candidates(likeness: Similarity, queries: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """Return the most alike of a pool for each query (Q, K), and the view in which they are.

    Both -1 where there are none, as the pool is small.
    """
    groups = ((_views(0), _SAME), ([v for turn in range(1, TURNS) for v in _views(turn)], _TURNED))
    middle = {turn: centres(turned(queries, turn)) for turn in range(TURNS)}
    ours = {
        (turn, frame, zoom): likeness.describe(
            turned(queries, turn), zoom, frame * middle[turn], _SIZE
        )
        for turn, frame, zoom in {view[:3] for views, _ in groups for view in views}
    }
    kept = [torch.full((len(queries), count), -2.0) for _, count in groups]
    places = [torch.full((len(queries), count), -1) for _, count in groups]
    shown = [torch.full((len(queries), count), -1) for _, count in groups]
    for start in range(0, len(pool), _POOL):
        block = pool[start : start + _POOL]
        centre = centres(block)
        theirs = {
            (frame, zoom): likeness.describe(block, zoom, frame * centre, _SIZE)
            for frame, zoom in {
                (view.frame, view.zoom_pool) for views, _ in groups for view in views
            }
        }
        for group, (views, count) in enumerate(groups):
            first = 0 if group == 0 else len(groups[0][0])
            for low in range(0, len(queries), 256):  # small enough for the processor's cache
                rows = slice(low, low + 256)
                best: Tensor | None = None
                for view in views:
                    alike = ours[view[:3]][rows] @ theirs[view.frame, view.zoom_pool].T
                    best = alike if best is None else torch.maximum(best, alike, out=best)
                assert best is not None
                values, indices = best.topk(min(count, len(block)), 1)
                which = torch.stack(
                    [
                        torch.einsum(
                            "qd,qkd->qk",
                            ours[view[:3]][rows],
                            theirs[view.frame, view.zoom_pool][indices],
                        )
                        for view in views
                    ]
                ).argmax(0)
                values = torch.cat([kept[group][rows], values], 1)
                values, order = values.topk(count, 1)
                kept[group][rows] = values
                for store, new in ((places, start + indices), (shown, first + which)):
                    store[group][rows] = torch.cat([store[group][rows], new], 1).gather(1, order)
    return torch.cat(places, 1), torch.cat(shown, 1)


def _measure(
    likeness: Similarity, queries: Tensor, pool: Tensor, least: float, places: Tensor, shown: Tensor
) -> list[tuple[int, int, float]]:
    """Align the candidates (Q, K) with their queries; return pairs with their distances."""
    views = [view for turn in range(TURNS) for view in _views(turn)]
    table = torch.tensor(views)[shown]  # of a missing candidate: some view; not used
    turn, frame = table[..., 0].long(), table[..., 1:2]
    ours, theirs = torch.zeros(*places.shape, 4), torch.zeros(*places.shape, 4)
    middle = torch.stack([centres(turned(queries, t)) for t in range(TURNS)])
    rows = torch.arange(len(queries))[:, None].expand_as(places)
    ours[..., 0], ours[..., 2:] = table[..., 2].log(), frame * middle[turn, rows]
    theirs[..., 0], theirs[..., 2:] = table[..., 3].log(), frame * centres(pool)[places]

    def refine(chosen: Tensor, steps: int) -> None:
        """Improve `alike` and the poses where chosen; the nearer view is the one to move."""
        for nearer_ours in (True, False):
            which = chosen & ((table[..., 2] < table[..., 3]) == nearer_ours)
            for some in which.nonzero().split(_PAIRS):
                if not len(some):
                    continue
                query, k = some.unbind(1)
                images = queries[query]
                for t in range(1, TURNS):
                    at = turn[query, k] == t
                    images[at] = turned(images[at], t)
                one, two = (images, ours), (pool[places[query, k]], theirs)
                moving, fixed = (one, two) if nearer_ours else (two, one)
                alike[query, k], moving[1][query, k] = likeness.align(
                    fixed[0], fixed[1][query, k], moving[0], moving[1][query, k], steps
                )

    alike = torch.zeros(places.shape)  # a missing candidate counts as unrelated
    refine(places >= 0, _FIRST_STEPS)
    best = alike.topk(_FINALISTS, 1).indices
    finalists = torch.zeros(places.shape, dtype=torch.bool).scatter_(1, best, value=True)
    finalists &= places >= 0
    refine(finalists, _LAST_STEPS)
    final = alike.gather(1, best).sort(1).values
    typical = final[:, :_BACKGROUND].mean(1, keepdim=True)
    distance = (1 - alike).clamp_min(0) / (1 - typical).clamp_min(_LEAST_SPREAD)
    closest: dict[tuple[int, int], float] = {}
    for query, k in (finalists & (alike >= least)).nonzero().tolist():
        pair = query, int(places[query, k])
        closest[pair] = min(float(distance[query, k]), closest.get(pair, float("inf")))
    return [(query, index, value) for (query, index), value in closest.items()]
