"""What a trained start is worth on a small set: fine-tuning and probes with few and with all labels.

    python benchmarks/transfer.py                        # run all that has no figures yet, or old ones
    python benchmarks/transfer.py --only breastmnist     # whose name contains this
    python benchmarks/transfer.py --list
    python benchmarks/transfer.py --table                # docs' table

Every start sees the same images: a stratified share of the training split, drawn by the seed.
Fine-tuning is the recipe ``finetune`` of advanced_cnn for the same number of steps with every start
and share, so that it compares starts in a short training, not the best that each can reach. Probes
choose their setting on the validation split. The test split is read once a run, at its end. A run is
written into ``benchmarks/results/transfer.json`` as soon as it has ended.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from backbone import path_of
from figures import RESULTS, Figures
from sklearn.model_selection import train_test_split
from source import Source
from torch import nn

import medzoo
from medzoo.files import sha256_of
from medzoo.training import load_recipe
from medzoo.weights import weights_index

FIGURES = Figures(RESULTS / "transfer.json")
DATASETS = ("breastmnist", "retinamnist")
SHARES = (0.1, 0.3, 1.0)
SEEDS = (0, 1, 2)
STEPS = 80
BATCH = 32


@dataclass(frozen=True)
class Start:
    """Where a model comes from.

    Attributes:
        title: As a reader of the table sees it.
        name: Of a checkpoint, or of an architecture of timm's; or empty for the backbone of backbone.py
            that has not seen the data set.
        trained: Whether it starts from the weights that it names, or from random values of the
            same architecture.
    """

    title: str
    name: str
    trained: bool

    def source(self, dataset: str) -> str:
        """Return what `medzoo.create_model` makes it of.

        Args:
            dataset: Name of the data set that it is to be trained on.
        """
        return self.name or str(path_of(without=dataset))

    def exists(self, dataset: str) -> bool:
        """Tell whether the weights are here.

        Args:
            dataset: Name of the data set that it is to be trained on.
        """
        if not self.name:
            return path_of(without=dataset).exists()
        return self.name in weights_index() or self.name.startswith("timm/")

    def sha256(self, dataset: str) -> str | None:
        """Return which weights it starts from, or None if from random values.

        Args:
            dataset: Name of the data set that it is to be trained on.
        """
        if not self.trained:
            return None
        source = self.source(dataset)
        return weights_index()[source].sha256 if self.name else sha256_of(source)

    def model(self, dataset: str, data: medzoo.Dataset, seed: int) -> nn.Module:
        """Make the model for a data set.

        Args:
            dataset: Name of the data set.
            data: Decides channels and classes.
            seed: Of what is random in it.
        """
        torch.manual_seed(seed)
        if self.trained:
            source = self.source(dataset)
            return medzoo.create_model(source, dataset=data, pretrained=True)
        if self.name.startswith("timm/"):
            return medzoo.create_model(self.name, dataset=data)
        like = medzoo.create_model(self.name, pretrained=True)
        return medzoo.create_model(like.architecture, dataset=data, **like.model_args)


STARTS = {
    "scratch": Start("advanced_cnn, random weights", "advanced_cnn.dermamnist", trained=False),
    "dermamnist": Start("advanced_cnn.dermamnist", "advanced_cnn.dermamnist", trained=True),
    "small": Start("advanced_cnn, random weights", "advanced_cnn.medmnist", trained=False),
    "others": Start("advanced_cnn, the three other sets", "", trained=True),
    "medmnist": Start(
        "advanced_cnn.medmnist, all four sets", "advanced_cnn.medmnist", trained=True
    ),
    "timm": Start("timm/resnet10t, random weights", "timm/resnet10t", trained=False),
}
METHODS = {"finetune": "fine-tuned", "linear": "linear probe", "knn": "k-NN"}


@dataclass(frozen=True)
class Trial:
    """One training or one probe.

    Attributes:
        dataset: Name of the data set.
        start: A key of `STARTS`.
        method: A key of `METHODS`.
        share: Of the training images, in (0, 1].
        seed: Of the drawn images and of all that is random.
    """

    dataset: str
    start: str
    method: str
    share: float
    seed: int

    @property
    def key(self) -> str:
        """Return what names the trial in the file of results."""
        return f"{self.dataset}/{self.start}/{self.method}/{self.share:.0%}/seed{self.seed}"


def trials() -> list[Trial]:
    """Return the trials of all starts that exist here, cheap methods first."""
    everything = product(reversed(METHODS), SEEDS, DATASETS, SHARES, STARTS)
    return [
        Trial(data, start, method, share, seed)
        for method, seed, data, share, start in everything
        if STARTS[start].exists(data)
    ]


def few(data: medzoo.Dataset, share: float, seed: int) -> medzoo.Dataset:
    """Return a data set with a stratified share of its training images.

    Args:
        data: The data set, single-label.
        share: In (0, 1].
        seed: Of the draw.
    """
    if share == 1:
        return data
    labels = data.train.labels
    chosen, _ = train_test_split(
        range(len(labels)), train_size=share, stratify=labels, random_state=seed
    )
    return replace(data, train=data.train.subset(sorted(chosen)))


def run(trial: Trial, data: medzoo.Dataset, steps: int = STEPS) -> dict[str, Any]:
    """Run one trial and return its record.

    Args:
        trial: What to run.
        data: The whole data set.
        steps: Of fine-tuning.
    """
    began = time.perf_counter()
    part = few(data, trial.share, trial.seed)
    start = STARTS[trial.start]
    model = start.model(trial.dataset, part, trial.seed)
    record: dict[str, Any] = {"data": data.title, "images": len(part.train), "seed": trial.seed}
    record["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    record["sha256"] = start.sha256(trial.dataset)
    if trial.method == "finetune":
        recipe = recipe_of(trial, part, steps)
        trained = medzoo.finetune(model, part, recipe, progress=False)
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


def recipe_of(trial: Trial, part: medzoo.Dataset, steps: int = STEPS) -> medzoo.Recipe:
    """Return the recipe, in as many epochs as give the steps; only the last one is validated.

    Args:
        trial: What is trained.
        part: The share of the data set that it is trained on.
        steps: How many.
    """
    epochs = math.ceil(steps / max(1, len(part.train) // BATCH))
    recipe = load_recipe("finetune", "advanced_cnn", trial.dataset)
    start = STARTS[trial.start]
    return replace(
        recipe,
        epochs=epochs,
        batch_size=BATCH,
        validate_every=epochs,
        seed=trial.seed,
        model_args={},
        backbone=start.source(trial.dataset) if start.trained else "",
    )


def is_current(record: Mapping[str, Any], trial: Trial, data: medzoo.Dataset, steps: int) -> bool:
    """Tell whether a record is what running the trial would measure again.

    Args:
        record: Of an earlier run.
        trial: What was run.
        data: The whole data set.
        steps: Of fine-tuning.
    """
    if record["sha256"] != STARTS[trial.start].sha256(trial.dataset):
        return False
    if trial.method != "finetune":
        return True
    recipe = recipe_of(trial, few(data, trial.share, trial.seed), steps)
    return medzoo.Recipe.from_dict(record["recipe"]) == recipe


def table(results: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return the figures as Markdown tables, one a data set; "-" where nothing was measured yet.

    Args:
        results: Records by the trials' keys; by default those that were kept.
    """
    results = FIGURES.read() if results is None else results
    header = "| Start | Parameters | Method | " + " | ".join(
        f"{100 * share:.0f} % of the labels" for share in SHARES
    )
    parts = []
    for dataset in DATASETS:
        own = [row for key, row in results.items() if key.startswith(f"{dataset}/")]
        title = own[0]["data"] if own else medzoo.dataset_info(dataset).title
        lines = [f"**{title}**: test AUC\n", f"{header} |", "|---" * (3 + len(SHARES)) + "|"]
        for start, method in product(STARTS, METHODS):
            cells = [_runs(results, Trial(dataset, start, method, share, 0)) for share in SHARES]
            rows = [row for cell in cells for row in cell]
            if not rows and not STARTS[start].name:
                continue  # its backbones are not published, and were not trained here
            count = f"{rows[0]['parameters'] / 1e6:.2f} M" if rows else "-"
            figures = " | ".join(map(_cell, cells))
            lines.append(f"| {STARTS[start].title} | {count} | {METHODS[method]} | {figures} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _runs(results: Mapping[str, Mapping[str, Any]], trial: Trial) -> list[Mapping[str, Any]]:
    keys = [replace(trial, seed=seed).key for seed in SEEDS]
    return [results[key] for key in keys if key in results]


def _cell(runs: list[Mapping[str, Any]]) -> str:
    """Format the mean over seeds and its deviation, and the mean bounds of their intervals."""
    if not runs:
        return "-"
    aucs = [row["auc"] for row in runs]
    low, high = (mean(row["intervals"]["auc"][side] for row in runs) for side in (0, 1))
    spread = f" ± {stdev(aucs):.3f}" if len(aucs) > 1 else ""
    missing = f", {len(runs)} of {len(SEEDS)} seeds" if len(runs) < len(SEEDS) else ""
    return f"{mean(aucs):.3f}{spread} ({low:.3f} to {high:.3f}){missing}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="run trials whose name contains this")
    parser.add_argument("--list", action="store_true", help="list the trials, do not run them")
    parser.add_argument("--table", action="store_true", help="print the table of what is measured")
    parser.add_argument("--steps", type=int, default=STEPS, help="of fine-tuning (%(default)s)")
    parser.add_argument("--results", type=Path, default=FIGURES.path, help="file (%(default)s)")
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    arguments = parser.parse_args()
    if arguments.steps != STEPS and arguments.results == FIGURES.path:
        parser.error(f"another number of steps than {STEPS} needs a file of its own: --results")
    figures = Figures(arguments.results)
    if arguments.table:
        print(table(figures.read()))
        return
    wanted = [trial for trial in trials() if arguments.only in trial.key]
    if arguments.list:
        print("\n".join(trial.key for trial in wanted))
        return
    sets: dict[str, medzoo.Dataset] = {}
    for trial in wanted:
        if trial.dataset not in sets:
            sets[trial.dataset] = Source(arguments.data_root).load(trial.dataset)
        known = figures.read().get(trial.key)
        if known and is_current(known, trial, sets[trial.dataset], arguments.steps):
            continue
        record = run(trial, sets[trial.dataset], arguments.steps)
        figures.keep(trial.key, record)
        print(f"{trial.key}: test AUC {record['auc']:.4f}, {record['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
