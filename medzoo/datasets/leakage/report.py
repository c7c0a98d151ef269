"""The result of a search for near-duplicates across splits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from medzoo.datasets.info import SPLIT_NAMES, SplitName
from medzoo.errors import unknown_name
from medzoo.escape import for_display


class LeakedPair(NamedTuple):
    """Two images from different splits that seem to show the same object.

    Attributes:
        split_a: The earlier of the two splits.
        index_a: Position of the image in it.
        split_b: The later of the two splits.
        index_b: Position of the image in it.
        distance: Distance from 0 (identical) to 1 (as different as unrelated images).
    """

    split_a: SplitName
    index_a: int
    split_b: SplitName
    index_b: int
    distance: float


@dataclass(frozen=True)
class LeakageReport:
    """The near-duplicates that `find_leakage` found.

    Attributes:
        title: The data set's title.
        provenance: Where its images came from (`Provenance.to_dict`).
        sizes: Number of images of each split.
        threshold: Distance below which a pair is reported.
        pairs: The pairs, closest first.
    """

    title: str
    provenance: dict[str, Any]
    sizes: dict[SplitName, int]
    threshold: float
    pairs: tuple[LeakedPair, ...]

    def counts(self) -> dict[tuple[SplitName, SplitName], int]:
        """Return the number of pairs for each two splits."""
        found = dict.fromkeys(combinations(self.sizes, 2), 0)
        for pair in self.pairs:
            found[pair.split_a, pair.split_b] += 1
        return found

    def affected(self, split: SplitName, other: SplitName) -> list[int]:
        """Return the positions of those images of a split that have a near-duplicate in another.

        Args:
            split: The split of the images.
            other: The split of the near-duplicates.

        Returns:
            The positions, ascending.

        Raises:
            ValueError: If a split is unknown, or both are the same.
        """
        for name in (split, other):
            if name not in SPLIT_NAMES:
                raise unknown_name("split", name, SPLIT_NAMES)
        if split == other:
            raise ValueError(f"split and other are both {split!r}; give two different splits")
        places = {p.index_a for p in self.pairs if (p.split_a, p.split_b) == (split, other)}
        places |= {p.index_b for p in self.pairs if (p.split_b, p.split_a) == (split, other)}
        return sorted(places)

    @property
    def affected_test_share(self) -> float:
        """Share of test images that have a near-duplicate in another split; 0 without any."""
        images = {*self.affected("test", "train"), *self.affected("test", "val")}
        return len(images) / max(1, self.sizes.get("test", 0))

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
        """Return a summary: pairs by splits, the share of test images, and the closest pairs."""
        lines = [
            f"{for_display(self.title)}: {len(self.pairs):,} pairs of near-duplicates across "
            f"splits (distance below {self.threshold:g})",
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
        lines += [
            "",
            "Found by comparing pixels: check pairs by eye, and expect some to be missed.",
        ]
        return "\n".join(lines)
