"""Data leakage: images that occur in two splits, found by comparing pixels."""

from medzoo.datasets.leakage.report import LeakageReport, LeakedPair
from medzoo.datasets.leakage.search import find_leakage

__all__ = ["LeakageReport", "LeakedPair", "find_leakage"]
