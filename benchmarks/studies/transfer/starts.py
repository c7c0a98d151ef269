"""What trained weights are worth on a small data set: fine-tuning and probes with few labels.

Every start sees the same images: a stratified share of the training split, drawn by the seed.
Fine-tuning uses the recipe ``finetune`` of advanced_cnn for the same number of steps with every
start, at least `STEPS` (somewhat more with few images, because epochs are whole), so it compares
starts in a short training, not the best that each can reach. Probes choose their setting on the
validation split. The test split is read once per run, at its end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import nn

import medzoo
from benchmarks.reporting.format import markdown_table, millions
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.source import Source
from benchmarks.reproduction.uncalibrated import uncalibrated
from benchmarks.studies.folds import stratified_share
from benchmarks.studies.study import Study
from benchmarks.studies.transfer.backbones import (
    IMAGENET,
    OTHERS,
    is_available,
    sha256_of_backbone,
    weights_of,
)
from medzoo.training import load_recipe

RECORDS = ResultsFile(RESULTS / "transfer.json")
STEPS = 80
BATCH = 32


@dataclass(frozen=True)
class Start:
    """Where a model comes from.

    Attributes:
        title: Its name in the table.
        name: A backbone of backbones.py or, without `trained`, an architecture of timm.
        trained: Whether it starts from the weights that it names, or from random weights of the
            same architecture.
    """

    title: str
    name: str
    trained: bool

    @property
    def is_published(self) -> bool:
        """Whether anyone can start from it."""
        return self.name not in (OTHERS, IMAGENET)

    def exists(self, dataset: str) -> bool:
        """Return whether the weights are available.

        Args:
            dataset: Tag of the data set on which it will be trained.
        """
        return self.name.startswith("timm/") or is_available(self.name, dataset)

    def weights(self, dataset: str) -> str:
        """Return the name or the file of the weights; empty for random ones.

        Args:
            dataset: Tag of the data set on which it will be trained.
        """
        return weights_of(self.name, dataset) if self.trained else ""

    def sha256(self, dataset: str) -> str | None:
        """Return the sha256 of the weights, or None for random weights.

        Args:
            dataset: Tag of the data set on which it will be trained.
        """
        return sha256_of_backbone(self.name, dataset) if self.trained else None

    def model(self, dataset: str, data: medzoo.Dataset, seed: int) -> nn.Module:
        """Create the model for a data set.

        Args:
            dataset: Tag of the data set.
            data: Decides channels and classes.
            seed: Seed of its random weights.
        """
        torch.manual_seed(seed)
        if self.trained:
            return medzoo.create_model(self.weights(dataset), dataset=data, pretrained=True)
        if self.name.startswith("timm/"):
            return medzoo.create_model(self.name, dataset=data)
        like = medzoo.create_model(self.name, pretrained=True)
        return medzoo.create_model(like.architecture, dataset=data, **like.spec.model_args)


_TRIALS = read_toml(Path(__file__).parents[1] / "trials" / "transfer.toml")
DATASETS: tuple[str, ...] = tuple(_TRIALS["datasets"])
SHARES: tuple[float, ...] = tuple(_TRIALS["shares"])
SEEDS: tuple[int, ...] = tuple(_TRIALS["seeds"])
METHODS: dict[str, str] = _TRIALS["methods"]
STARTS = {name: Start(**values) for name, values in _TRIALS["starts"].items()}


@dataclass(frozen=True)
class TransferTrial:
    """One training or one probe.

    Attributes:
        dataset: Name of the data set.
        start: A key of `STARTS`.
        method: A key of `METHODS`.
        share: Share of the training images, in (0, 1].
        seed: Seed of the drawn images and of the training.
    """

    dataset: str
    start: str
    method: str
    share: float
    seed: int

    @property
    def key(self) -> str:
        """Name of the trial in the results file."""
        return f"{self.dataset}/{self.start}/{self.method}/{self.share:.0%}/seed{self.seed}"


def trials() -> list[TransferTrial]:
    """Return the trials of all starts that exist on this machine, cheap methods first."""
    everything = product(reversed(METHODS), SEEDS, DATASETS, SHARES, STARTS)
    return [
        TransferTrial(data, start, method, share, seed)
        for method, seed, data, share, start in everything
        if STARTS[start].exists(data)
    ]


def run(trial: TransferTrial, data: medzoo.Dataset, steps: int = STEPS) -> dict[str, Any]:
    """Run one trial and return its record.

    Args:
        trial: The trial.
        data: The whole data set.
        steps: Number of steps of fine-tuning.
    """
    began = time.perf_counter()
    part = stratified_share(data, trial.share, trial.seed)
    start = STARTS[trial.start]
    model = start.model(trial.dataset, part, trial.seed)
    record: dict[str, Any] = {"data": data.title, "images": len(part.train), "seed": trial.seed}
    record["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    record["sha256"] = start.sha256(trial.dataset)
    if trial.method == "finetune":
        recipe = recipe_of(trial, part, steps)
        trained = uncalibrated(medzoo.finetune(model, part, recipe, progress=False))
        report = medzoo.evaluate(trained.model, part.test)
        record |= {"recipe": recipe.to_dict(), "val_auc": trained.val_auc}
    else:
        probe = medzoo.linear_probe if trial.method == "linear" else medzoo.knn_probe
        found = probe(model, part)
        report = found.test
        record |= {"setting": found.setting, "val_auc": found.val.auc}
    scores = {score: getattr(report, score) for score in ("auc", "acc")}
    intervals = {score: report.intervals[score] for score in scores}
    return record | scores | {"intervals": intervals, "seconds": time.perf_counter() - began}


def recipe_of(trial: TransferTrial, part: medzoo.Dataset, steps: int = STEPS) -> medzoo.Recipe:
    """Return the recipe with the epochs that give the steps; only the last one is validated.

    Args:
        trial: The trial.
        part: The share of the data set on which it is trained.
        steps: Number of steps.
    """
    epochs = math.ceil(steps / max(1, len(part.train) // BATCH))
    start = STARTS[trial.start]
    recipe = load_recipe("finetune", "advanced_cnn", trial.dataset)
    return replace(
        recipe,
        epochs=epochs,
        batch_size=BATCH,
        validate_every=epochs,
        seed=trial.seed,
        model_args={},
        backbone=start.weights(trial.dataset),
    )


def is_current(
    record: Mapping[str, Any], trial: TransferTrial, data: medzoo.Dataset, steps: int = STEPS
) -> bool:
    """Return whether a record is what running its trial again would measure.

    Args:
        record: An earlier record.
        trial: The trial.
        data: The whole data set.
        steps: Number of steps of fine-tuning.
    """
    if record["sha256"] != STARTS[trial.start].sha256(trial.dataset):
        return False
    if trial.method != "finetune":
        return True
    recipe = recipe_of(trial, stratified_share(data, trial.share, trial.seed), steps)
    return medzoo.Recipe.from_dict(record["recipe"]) == recipe


def table(records: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return test AUC as Markdown tables, one per measured data set; "-" where a run is missing.

    Args:
        records: Records by key; by default those in the results file.
    """
    records = RECORDS.read() if records is None else records
    header = ("Start", "Parameters", "Method", *(f"{100 * s:.0f} % of the labels" for s in SHARES))
    parts = []
    for dataset in DATASETS:
        first = next((r for key, r in records.items() if key.startswith(f"{dataset}/")), None)
        if first is None:
            continue
        rows = []
        for start, method in product(STARTS, METHODS):
            cells = [
                _runs(records, TransferTrial(dataset, start, method, share, 0)) for share in SHARES
            ]
            runs = [record for cell in cells for record in cell]
            if not runs and not STARTS[start].is_published:
                continue  # these backbones are not published, and were not used here
            count = millions(runs[0]["parameters"]) if runs else "-"
            rows.append((STARTS[start].title, count, METHODS[method], *map(_cell, cells)))
        parts.append(f"**{first['data']}**: test AUC\n\n{markdown_table(header, rows)}")
    return "\n\n".join(parts)


def _runs(
    records: Mapping[str, Mapping[str, Any]], trial: TransferTrial
) -> list[Mapping[str, Any]]:
    keys = [replace(trial, seed=seed).key for seed in SEEDS]
    return [records[key] for key in keys if key in records]


def _cell(runs: Sequence[Mapping[str, Any]]) -> str:
    """Format mean and deviation over seeds, and the mean bounds of the intervals."""
    if not runs:
        return "-"
    aucs = [record["auc"] for record in runs]
    low, high = (mean(record["intervals"]["auc"][side] for record in runs) for side in (0, 1))
    deviation = f" ± {stdev(aucs):.3f}" if len(aucs) > 1 else ""
    missing = f", {len(runs)} of {len(SEEDS)} seeds" if len(runs) < len(SEEDS) else ""
    return f"{mean(aucs):.3f}{deviation} ({low:.3f} to {high:.3f}){missing}"


@cache
def _load(source: Source, dataset: str) -> medzoo.Dataset:
    return source.load(dataset)


TRANSFER = Study(
    name="transfer",
    description="what trained weights are worth on small data sets",
    results=RECORDS,
    trials=trials,
    run=lambda trial, source: run(trial, _load(source, trial.dataset)),
    table=table,
    summary=lambda record: f"test AUC {record['auc']:.4f}, {record['seconds']:.0f} s",
    is_current=lambda record, trial, source: is_current(
        record, trial, _load(source, trial.dataset)
    ),
)
