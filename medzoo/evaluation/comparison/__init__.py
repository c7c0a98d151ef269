"""Comparing models on the same images: which differences are more than chance."""

from medzoo.evaluation.comparison.compare import Comparison, Difference, compare

__all__ = ["Comparison", "Difference", "compare"]
