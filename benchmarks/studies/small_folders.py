"""Small folders: which settings train best on few own images.

Folders are imitated with images of MedMNIST's training and validation splits: some are drawn for
the folder and split as `medzoo.Dataset.from_folder` does, up to 1,000 others measure what was
learned. The test splits are not read.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import Study
from medzoo.datasets.info import SplitName
from medzoo.datasets.readers.read import FRACTIONS
from medzoo.datasets.readers.stratify import stratified_group_split
from medzoo.training import load_recipe

RECORDS = ResultsFile(RESULTS / "small_folders.json")
HELD_OUT = 1000
OF_IMAGES = "images"
"""What class weights are factors on; of records without it, columns of smoothed targets."""
SCORES = {
    "auc": "AUC",
    "balanced_acc": "Balanced ACC",
    "worst_recall": "Lowest recall",
    "ece": "ECE",
}

_TRIALS = read_toml(Path(__file__).with_name("trials") / "small_folders.toml")
FOLDERS: list[tuple[str, int]] = [(n, count) for n, c in _TRIALS["folders"].items() for count in c]
SETTINGS: dict[str, dict[str, Any]] = _TRIALS["settings"]


@dataclass(frozen=True)
class FolderTrial:
    """One training on one folder.

    Attributes:
        dataset: Where the images come from.
        images: Number of images in the folder.
        setting: A key of `SETTINGS`.
        seed: Seed of the drawn images and of the training.
    """

    dataset: str
    images: int
    setting: str
    seed: int

    @property
    def key(self) -> str:
        """Name of the trial in the results file."""
        return f"{self.dataset}/{self.images}/{self.setting}/seed{self.seed}"


def trials() -> list[FolderTrial]:
    """Return the trials: every setting, in every folder, with every seed."""
    return [
        FolderTrial(dataset, images, setting, seed)
        for seed, (dataset, images), setting in product(_TRIALS["seeds"], FOLDERS, SETTINGS)
    ]


def small_folder(data: medzoo.Dataset, images: int, seed: int) -> medzoo.Dataset:
    """Return a data set like one of a small folder; its test split holds other images.

    Args:
        data: The data set from whose training and validation images it is drawn.
        images: Number of images in the folder.
        seed: Seed of the draw.
    """
    pixels = torch.cat([data.train.images, data.val.images])
    labels = torch.cat([data.train.labels, data.val.labels])
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))
    drawn, others = order[:images], order[images : images + HELD_OUT]
    train, val, test = FRACTIONS
    shares: dict[SplitName, float] = {"train": train, "val": val, "test": test}
    chosen = stratified_group_split(labels[drawn].numpy(), range(images), shares, seed)
    train_rows, val_rows = (drawn[[name == split for name in chosen]] for split in ("train", "val"))
    return medzoo.Dataset.from_arrays(
        (pixels[train_rows], labels[train_rows]),
        (pixels[val_rows], labels[val_rows]),
        (pixels[others], labels[others]),
        name="folder",
        task=data.info.task,
        classes=data.info.classes,
    )


def recipe_of(trial: FolderTrial, folder: medzoo.Dataset) -> medzoo.Recipe:
    """Return the recipe of a trial.

    Args:
        trial: The trial.
        folder: The images.
    """
    changes = {"seed": trial.seed, **SETTINGS[trial.setting]}
    steps = changes.pop("steps", None)
    recipe = load_recipe("default", _TRIALS["model"], folder, changes=changes)
    if steps is None:
        return recipe
    images = len(folder.train)
    return recipe.with_changes(epochs=math.ceil(steps * min(recipe.batch_size, images) / images))


def run(trial: FolderTrial, source: Source) -> dict[str, Any]:
    """Train on a folder; return the record.

    Args:
        trial: The trial.
        source: Source of the images.
    """
    data = source.load(trial.dataset)
    folder = small_folder(data, trial.images, trial.seed)
    recipe = recipe_of(trial, folder)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes without a validation image
        trained = medzoo.train(_TRIALS["model"], folder, recipe, progress=False)
        report = medzoo.evaluate(trained.model, folder.test, resamples=0)
    return {
        "data": data.title,
        "training_images": len(folder.train),
        "recipe": recipe.to_dict(),
        "weights": OF_IMAGES,
        "auc": report.auc,
        "balanced_acc": report.balanced_acc,
        "worst_recall": min(row["recall"] for row in report.per_class if row["support"]),
        "ece": report.ece,
        "seconds": time.perf_counter() - began,
    }


def is_current(record: Mapping[str, Any], trial: FolderTrial, source: Source) -> bool:
    """Return whether a record is of the same recipe.

    Args:
        record: An earlier record.
        trial: The trial.
        source: Source of the images.
    """
    folder = small_folder(source.load(trial.dataset), trial.images, trial.seed)
    recipe = recipe_of(trial, folder)
    weighs_images = recipe.class_weights == "none" or record.get("weights") == OF_IMAGES
    return weighs_images and medzoo.Recipe.from_dict(record["recipe"]) == recipe


def table(records: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return mean scores over folders and seeds as a Markdown table; one row per setting.

    Only what all settings were tried on counts.

    Args:
        records: Records by key; by default those in the results file.
    """
    records = RECORDS.read() if records is None else records
    complete = [
        (folder, seed)
        for seed, folder in product(_TRIALS["seeds"], FOLDERS)
        if all(FolderTrial(*folder, setting, seed).key in records for setting in SETTINGS)
    ]
    rows = []
    for setting in SETTINGS if complete else ():
        found = [records[FolderTrial(*folder, setting, seed).key] for folder, seed in complete]
        cells = [f"{mean(record[score] for record in found):.3f}" for score in SCORES]
        rows.append((setting, str(len(complete)), *cells))
    return markdown_table(("Setting", "Trainings", *SCORES.values()), rows)


SMALL_FOLDERS = Study(
    name="small_folders",
    description="which batch size, epochs and class weights suit small folders of own images",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: f"AUC {record['auc']:.3f}, balanced ACC {record['balanced_acc']:.3f}",
    is_current=is_current,
)
