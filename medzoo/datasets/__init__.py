"""Data sets: what they are, where their arrays come from, and made-up ones."""

from medzoo.datasets.dataset import Dataset, Provenance, Split
from medzoo.datasets.info import TASKS, DatasetInfo, Task, dataset_info, list_datasets
from medzoo.datasets.store import load_dataset
from medzoo.datasets.synthetic import synthetic

__all__ = [
    "TASKS",
    "Dataset",
    "DatasetInfo",
    "Provenance",
    "Split",
    "Task",
    "dataset_info",
    "list_datasets",
    "load_dataset",
    "synthetic",
]
