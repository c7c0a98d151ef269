"""Learning rates for fine-tuning: changes to the recipe ``finetune``, scored on validation folds.

The validation splits of the small data sets are too small for a choice, so each setting is trained
three times, on two thirds of the training and validation images (or on a share of them), and scored
on the remaining third after the last epoch (folds.py). The test split is never read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.source import Source
from benchmarks.reproduction.uncalibrated import uncalibrated
from benchmarks.studies.folds import FOLDS, stratified_share
from benchmarks.studies.study import Study
from benchmarks.studies.transfer.backbones import is_available, sha256_of_backbone, weights_of
from medzoo.models import architecture_of
from medzoo.training import load_recipe

RECORDS = ResultsFile(RESULTS / "finetuning.json")
_TRIALS = read_toml(Path(__file__).parents[1] / "trials" / "finetuning.toml")
DATASETS: Mapping[str, str] = _TRIALS["datasets"]
BACKBONES: tuple[str, ...] = tuple(_TRIALS["backbones"])
SHARES: tuple[float, ...] = tuple(_TRIALS["shares"])
SETTINGS: Mapping[str, Mapping[str, Any]] = _TRIALS["settings"]


@dataclass(frozen=True)
class FinetuningTrial:
    """A setting on a data set, from a backbone.

    Attributes:
        dataset: A key of `DATASETS`.
        backbone: One of `BACKBONES`.
        share: Share of the training images of each fold, in (0, 1].
        setting: A key of `SETTINGS`.
    """

    dataset: str
    backbone: str
    share: float
    setting: str

    @property
    def key(self) -> str:
        """Name of the trial in the results file."""
        return f"{self.dataset}/{self.backbone}/{self.share:.0%}/{self.setting}"

    @property
    def weights(self) -> str:
        """What `medzoo.finetune` starts from: published weights or a file."""
        return weights_of(self.backbone, self.dataset)

    @property
    def sha256(self) -> str:
        """The sha256 of these weights."""
        return sha256_of_backbone(self.backbone, self.dataset)


def trials() -> list[FinetuningTrial]:
    """Return the trials of all backbones that exist on this machine."""
    everything = product(DATASETS, BACKBONES, SHARES, SETTINGS)
    found = (FinetuningTrial(*values) for values in everything)
    return [trial for trial in found if is_available(trial.backbone, trial.dataset)]


def recipe_of(trial: FinetuningTrial) -> medzoo.Recipe:
    """Return the recipe with the setting of a trial; only its last epoch is validated.

    Args:
        trial: The trial.
    """
    architecture = architecture_of(trial.weights)
    recipe = load_recipe("finetune", architecture, trial.dataset, backbone=trial.weights)
    return recipe.with_changes(**SETTINGS[trial.setting], validate_every=recipe.epochs)


def is_current(record: Mapping[str, Any], trial: FinetuningTrial, source: Source) -> bool:
    """Return whether a record has the present weights and recipe of its trial.

    Args:
        record: An earlier record.
        trial: The trial.
        source: Not used: data sets do not change.
    """
    same_recipe = medzoo.Recipe.from_dict(record["recipe"]) == recipe_of(trial)
    return same_recipe and record["sha256"] == trial.sha256


def run(trial: FinetuningTrial, source: Source) -> dict[str, Any]:
    """Fine-tune on every fold and return the record, with the means over the folds.

    Args:
        trial: The trial.
        source: Source of the images.
    """
    began = time.perf_counter()
    data = source.load(trial.dataset)
    recipe = recipe_of(trial)
    runs = [
        uncalibrated(
            medzoo.finetune(
                trial.weights, stratified_share(part, trial.share, seed=0), recipe, progress=False
            )
        )
        for part in FOLDS[DATASETS[trial.dataset]](data)
    ]
    return {
        "data": data.title,
        "runs": len(runs),
        "val_auc": mean(run.val_auc for run in runs),
        "val_acc": mean(run.val_acc for run in runs),
        "sha256": trial.sha256,
        "recipe": recipe.to_dict(),
        "seconds": time.perf_counter() - began,
    }


def table(records: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return validation AUC as a Markdown table, with a dash where a setting was not tried.

    Args:
        records: Records by key; by default those in the results file.
    """
    records = RECORDS.read() if records is None else records
    rows = []
    for dataset, backbone, share in product(DATASETS, BACKBONES, SHARES):
        found = [
            records.get(FinetuningTrial(dataset, backbone, share, setting).key)
            for setting in SETTINGS
        ]
        if any(found):
            title = medzoo.dataset_info(dataset).title
            cells = [f"{record['val_auc']:.3f}" if record else "-" for record in found]
            rows.append((title, backbone, f"{100 * share:.0f} %", *cells))
    return markdown_table(("Data set", "Backbone", "Labels", *SETTINGS), rows)


FINETUNING = Study(
    name="finetuning",
    description="which optimiser, learning rate and layer decay suit fine-tuning",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: f"AUC {record['val_auc']:.4f}, {record['seconds']:.0f} s",
    is_current=is_current,
)
