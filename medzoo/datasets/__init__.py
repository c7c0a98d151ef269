"""Data sets: descriptions, loading, splits, leakage between splits, and synthetic data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medzoo.lazy import export_lazily

if TYPE_CHECKING:
    from medzoo.datasets.dataset import Dataset
    from medzoo.datasets.holdout import hold_out_validation
    from medzoo.datasets.info import TASKS, DatasetInfo, Task, dataset_info, list_datasets
    from medzoo.datasets.leakage import LeakageReport, LeakedPair, find_leakage
    from medzoo.datasets.load import load_dataset
    from medzoo.datasets.preview import DatasetPreview, preview
    from medzoo.datasets.provenance import Provenance
    from medzoo.datasets.readers import ReadingOptions
    from medzoo.datasets.resplit import disjoint_split, read_groups, resplit
    from medzoo.datasets.split import Split, show
    from medzoo.datasets.synthetic import synthetic
    from medzoo.datasets.to_torch import to_torch

__all__ = [
    "TASKS",
    "Dataset",
    "DatasetInfo",
    "DatasetPreview",
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
    "preview",
    "read_groups",
    "resplit",
    "show",
    "synthetic",
    "to_torch",
]

export_lazily(
    __name__,
    {
        "dataset": ("Dataset",),
        "holdout": ("hold_out_validation",),
        "info": ("TASKS", "DatasetInfo", "Task", "dataset_info", "list_datasets"),
        "leakage": ("LeakageReport", "LeakedPair", "find_leakage"),
        "load": ("load_dataset",),
        "preview": ("DatasetPreview", "preview"),
        "provenance": ("Provenance",),
        "readers": ("ReadingOptions",),
        "resplit": ("disjoint_split", "read_groups", "resplit"),
        "split": ("Split", "show"),
        "synthetic": ("synthetic",),
        "to_torch": ("to_torch",),
    },
)
