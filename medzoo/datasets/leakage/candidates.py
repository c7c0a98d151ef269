"""First stage of the leakage search: a coarse comparison of every image with every other."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from medzoo.datasets.leakage.similarity import TURNS, Similarity, centres, turned

_COMPONENTS = 64  # of the descriptors that are compared; the alignment uses all of them
_ZOOMS = (1.0, 0.84, 0.7, 0.59, 0.5)
_FRAMES = (0.0, 0.5, 1.0)
_UPRIGHT_CANDIDATES, _TURNED_CANDIDATES = 12, 4  # per image
_POOL = 4096  # images of the pool compared at once: bounds the memory
_ROWS = 256  # images compared with them at once: fits into the cache of the processor


class View(NamedTuple):
    """One way to look at a pair of images, of which there are a fixed number.

    Attributes:
        turn: How the query is rotated and mirrored, 0 to 7; see `turned`.
        frame: How far the views are centred on the objects: 0 is the centre of the image, 1 the
            centre of the object, for both images.
        zoom_query: Visible share of the query.
        zoom_pool: Visible share of the image from the pool.
    """

    turn: int
    frame: float
    zoom_query: float
    zoom_pool: float


def _views(turn: int) -> tuple[View, ...]:
    # Most near-duplicates are not rotated; a coarser search is sufficient for those that are.
    frames, zooms = (_FRAMES, _ZOOMS) if turn == 0 else (_FRAMES[1:2], _ZOOMS[::2])
    return tuple(
        view
        for frame in frames
        for zoom in zooms
        # Only one of the two images is zoomed.
        for view in dict.fromkeys((View(turn, frame, zoom, 1.0), View(turn, frame, 1.0, zoom)))
    )


_UPRIGHT = _views(0)
_TURNED = tuple(view for turn in range(1, TURNS) for view in _views(turn))

VIEWS = _UPRIGHT + _TURNED
"""All views that are tried."""

# Views, number of candidates per image, and index of the first view in `VIEWS`.
_GROUPS = ((_UPRIGHT, _UPRIGHT_CANDIDATES, 0), (_TURNED, _TURNED_CANDIDATES, len(_UPRIGHT)))


class Candidates(NamedTuple):
    """The most similar images of a pool for each query.

    Attributes:
        indices: Indices in the pool, int64 (Q, K); -1 for no candidate, if the pool is small.
        views: For each, the index in `VIEWS` of the view in which it is most similar, int64 (Q, K).
    """

    indices: Tensor
    views: Tensor


def find_candidates(similarity: Similarity, queries: Tensor, pool: Tensor) -> Candidates:
    """Find the most similar images of a pool for each query, over all views.

    Args:
        similarity: Computes the descriptors.
        queries: Thumbnails, uint8 (Q, C, 28, 28).
        pool: Thumbnails, uint8 (P, C, 28, 28).
    """
    query_descriptors = _describe_queries(similarity, queries)
    found = [_BestSoFar(len(queries), count) for _, count, _ in _GROUPS]
    for start in range(0, len(pool), _POOL):
        block = pool[start : start + _POOL]
        block_descriptors = _describe_pool(similarity, block)
        for best, (views, count, first) in zip(found, _GROUPS, strict=True):
            for low in range(0, len(queries), _ROWS):
                rows = slice(low, low + _ROWS)
                pairs = [
                    (query_descriptors[v[:3]][rows], block_descriptors[v.frame, v.zoom_pool])
                    for v in views
                ]
                scores, index, view = _most_similar(pairs, min(count, len(block)))
                best.update(rows, scores, start + index, first + view)
    return Candidates(
        torch.cat([best.index for best in found], 1), torch.cat([best.view for best in found], 1)
    )


def _describe_queries(
    similarity: Similarity, queries: Tensor
) -> dict[tuple[int, float, float], Tensor]:
    """Return the descriptors of the queries for each turn, frame and zoom."""
    centre = {turn: centres(turned(queries, turn)) for turn in range(TURNS)}
    return {
        (turn, frame, zoom): similarity.describe(
            turned(queries, turn), zoom, frame * centre[turn], _COMPONENTS
        )
        for turn, frame, zoom in {view[:3] for view in VIEWS}
    }


def _describe_pool(similarity: Similarity, pool: Tensor) -> dict[tuple[float, float], Tensor]:
    """Return the descriptors of images of the pool for each frame and zoom."""
    centre = centres(pool)
    return {
        (frame, zoom): similarity.describe(pool, zoom, frame * centre, _COMPONENTS)
        for frame, zoom in {(view.frame, view.zoom_pool) for view in VIEWS}
    }


def _most_similar(pairs: list[tuple[Tensor, Tensor]], count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best images of the pool for each query, by their highest similarity in any view.

    Args:
        pairs: For each view, descriptors of the queries (Q, D) and of the pool (P, D).
        count: Number of images to return for each query.

    Returns:
        Similarities, indices in the pool, and indices of the views; (Q, count) each.
    """
    highest: Tensor | None = None
    for ours, theirs in pairs:
        scores = ours @ theirs.T
        highest = scores if highest is None else torch.maximum(highest, scores, out=highest)
    assert highest is not None
    values, index = highest.topk(count, 1)
    # Which view it was is computed for the best images only, not stored for all pairs.
    by_view = [torch.einsum("qd,qkd->qk", ours, theirs[index]) for ours, theirs in pairs]
    return values, index, torch.stack(by_view).argmax(0)


class _BestSoFar:
    """The best candidates of each query in the blocks of the pool that were compared so far."""

    def __init__(self, queries: int, count: int) -> None:
        self.scores = torch.full((queries, count), -2.0)  # below any cosine
        self.index = torch.full((queries, count), -1)
        self.view = torch.full((queries, count), -1)

    def update(self, rows: slice, scores: Tensor, index: Tensor, view: Tensor) -> None:
        """Merge the best candidates of another block, for some of the queries."""
        merged = torch.cat([self.scores[rows], scores], 1)
        self.scores[rows], order = merged.topk(self.scores.shape[1], 1)
        self.index[rows] = torch.cat([self.index[rows], index], 1).gather(1, order)
        self.view[rows] = torch.cat([self.view[rows], view], 1).gather(1, order)
