"""Second stage of the leakage search: align candidates with their query and measure distances."""

from __future__ import annotations

import torch
from torch import Tensor

from medzoo.datasets.leakage.candidates import VIEWS, Candidates
from medzoo.datasets.leakage.similarity import TURNS, Similarity, centres, turned

MAX_PAIRS_PER_IMAGE = 6
"""Number of candidates per image that are aligned until the end, and can be reported."""

_PAIRS = 2048  # pairs aligned at once: bounds the memory
_FIRST_STEPS, _LAST_STEPS = 3, 8
_BACKGROUND = 3  # of the finalists, the least similar ones: typical of unrelated images
_MIN_SPREAD = 0.1  # a background closer than that does not make a pair more doubtful


def measure_candidates(
    similarity: Similarity,
    queries: Tensor,
    pool: Tensor,
    candidates: Candidates,
    min_similarity: float,
) -> list[tuple[int, int, float]]:
    """Align the candidates with their queries and measure their distances.

    The distance of a pair is that of the aligned images, divided by the distance that the other
    candidates of the same query typically have.

    Args:
        similarity: Compares and aligns the images.
        queries: Thumbnails, uint8 (Q, C, 28, 28).
        pool: Thumbnails, uint8 (P, C, 28, 28).
        candidates: Images of the pool to align with each query.
        min_similarity: Similarity below which a pair is left out.

    Returns:
        Index of the query, index in the pool, and distance of each pair.
    """
    pairs = _Alignment(similarity, queries, pool, candidates)
    # All candidates are aligned roughly, and only the best of them precisely.
    exists = candidates.indices >= 0
    pairs.improve(exists, _FIRST_STEPS)
    best = pairs.similarity.topk(MAX_PAIRS_PER_IMAGE, 1).indices
    finalists = torch.zeros(exists.shape, dtype=torch.bool).scatter_(1, best, value=True) & exists
    pairs.improve(finalists, _LAST_STEPS)

    # Distances are relative to the background: what unrelated images of this query look like.
    final = pairs.similarity.gather(1, best).sort(1).values
    background = final[:, :_BACKGROUND].mean(1, keepdim=True)
    distance = (1 - pairs.similarity).clamp_min(0) / (1 - background).clamp_min(_MIN_SPREAD)

    # An image of the pool can be a candidate twice, upright and turned.
    closest: dict[tuple[int, int], float] = {}
    similar = finalists & (pairs.similarity >= min_similarity)
    for query, k in similar.nonzero().tolist():
        pair = query, int(candidates.indices[query, k])
        closest[pair] = min(float(distance[query, k]), closest.get(pair, float("inf")))
    return [(query, index, value) for (query, index), value in closest.items()]


class _Alignment:
    """Queries and candidates with their poses, which `improve` changes.

    Attributes:
        similarity: Similarity of each query and candidate, (Q, K); 0 for a missing candidate, as
            for unrelated images.
    """

    def __init__(
        self, similarity: Similarity, queries: Tensor, pool: Tensor, candidates: Candidates
    ) -> None:
        self.similarity = torch.zeros(candidates.indices.shape)
        self._compare = similarity
        self._queries, self._pool, self._index = queries, pool, candidates.indices
        # A missing candidate (-1) gets the pose of another one, which is not used.
        views = torch.tensor(VIEWS)[candidates.views]
        self._turn, frame = views[..., 0].long(), views[..., 1:2]
        self._zoom_query, self._zoom_pool = views[..., 2], views[..., 3]
        # Poses (log of the zoom, angle, x, y) start as the candidates were found.
        shape = (*candidates.indices.shape, 4)
        self._query_pose, self._pool_pose = torch.zeros(shape), torch.zeros(shape)
        centre = torch.stack([centres(turned(queries, turn)) for turn in range(TURNS)])
        rows = torch.arange(len(queries))[:, None].expand_as(candidates.indices)
        self._query_pose[..., 0] = self._zoom_query.log()
        self._query_pose[..., 2:] = frame * centre[self._turn, rows]
        self._pool_pose[..., 0] = self._zoom_pool.log()
        self._pool_pose[..., 2:] = frame * centres(pool)[candidates.indices]

    def improve(self, chosen: Tensor, steps: int) -> None:
        """Align the chosen candidates (Q, K) with their queries; update similarities and poses.

        Of each pair, the image that is seen from nearer is moved.
        """
        for query_moves in (True, False):
            which = chosen & ((self._zoom_query < self._zoom_pool) == query_moves)
            for some in which.nonzero().split(_PAIRS):
                if len(some):
                    self._improve(*some.unbind(1), query_moves=query_moves, steps=steps)

    def _improve(self, query: Tensor, k: Tensor, *, query_moves: bool, steps: int) -> None:
        ours = self._turned_queries(query, self._turn[query, k])
        theirs = self._pool[self._index[query, k]]
        if query_moves:
            moving, moving_pose, fixed, fixed_pose = ours, self._query_pose, theirs, self._pool_pose
        else:
            moving, moving_pose, fixed, fixed_pose = theirs, self._pool_pose, ours, self._query_pose
        self.similarity[query, k], moving_pose[query, k] = self._compare.align(
            fixed, fixed_pose[query, k], moving, moving_pose[query, k], steps
        )

    def _turned_queries(self, query: Tensor, turn: Tensor) -> Tensor:
        images = self._queries[query]
        for t in range(1, TURNS):
            images[turn == t] = turned(images[turn == t], t)
        return images
