"""Data sets: what they are, where their arrays come from, what their splits share, and made-up ones."""

from medzoo.datasets.dataset import Dataset, Provenance, Split
from medzoo.datasets.info import TASKS, DatasetInfo, Task, dataset_info, list_datasets
from medzoo.datasets.leakage import LeakageReport, LeakedPair, find_leakage
from medzoo.datasets.resplit import disjoint_split, read_groups, resplit
from medzoo.datasets.store import load_dataset
from medzoo.datasets.synthetic import synthetic

__all__ = [
    "TASKS",
    "Dataset",
    "DatasetInfo",
    "LeakageReport",
    "LeakedPair",
    "Provenance",
    "Split",
    "Task",
    "dataset_info",
    "disjoint_split",
    "find_leakage",
    "list_datasets",
    "load_dataset",
    "read_groups",
    "resplit",
    "synthetic",
]
