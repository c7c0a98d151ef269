"""Data sets: descriptions, loading, splits, leakage between splits, and synthetic data."""

from medzoo.datasets.dataset import Dataset
from medzoo.datasets.holdout import hold_out_validation
from medzoo.datasets.info import TASKS, DatasetInfo, Task, dataset_info, list_datasets
from medzoo.datasets.leakage import LeakageReport, LeakedPair, find_leakage
from medzoo.datasets.load import load_dataset
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.readers import ReadingOptions
from medzoo.datasets.resplit import disjoint_split, read_groups, resplit
from medzoo.datasets.split import Split
from medzoo.datasets.synthetic import synthetic
from medzoo.datasets.to_torch import to_torch

__all__ = [
    "TASKS",
    "Dataset",
    "DatasetInfo",
    "LeakageReport",
    "LeakedPair",
    "Provenance",
    "ReadingOptions",
    "Split",
    "Task",
    "dataset_info",
    "disjoint_split",
    "find_leakage",
    "hold_out_validation",
    "list_datasets",
    "load_dataset",
    "read_groups",
    "resplit",
    "synthetic",
    "to_torch",
]
