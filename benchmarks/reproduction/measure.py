"""Measuring one row of the results table: evaluate published weights, or train first."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

import medzoo
from benchmarks.reporting.paths import OUTPUT
from benchmarks.reproduction.record import Record
from benchmarks.reproduction.rows import Row
from benchmarks.reproduction.searched import SEARCHED, searched_changes
from benchmarks.reproduction.source import Source
from benchmarks.reproduction.summary import write_row_plots
from benchmarks.reproduction.teachers import any_has_teachers, has_teachers, teach, trained
from benchmarks.reproduction.uncalibrated import uncalibrated
from benchmarks.timing.machine import processor
from medzoo.device import resolve_device
from medzoo.files import sha256_of
from medzoo.training import load_recipe
from medzoo.weights import find_entry, warn_if_trained_on

PLAIN = "plain"
"""Name of the variant trained without teachers, where a data set has them."""


@dataclass(frozen=True)
class Options:
    """How rows are measured.

    Attributes:
        train: Train from scratch instead of evaluating the published weights.
        seeds: Seeds of the trainings.
        epochs: Number of epochs; None for that of the recipe.
        resume: Continue interrupted trainings, and skip recorded ones.
        record: Write finished trainings to ``results/training/``.
        plain: Train without teachers.
        searched: Train what the architecture search has found for the row: network and recipe.
        source: Source of the images.
        device: Device, as in `medzoo.train`.
        output: Folder of weights, logs and plots.
    """

    train: bool = False
    seeds: tuple[int, ...] = (0,)
    epochs: int | None = None
    resume: bool = False
    record: bool = False
    plain: bool = False
    searched: bool = False
    source: Source = field(default_factory=Source)
    device: str = "auto"
    output: Path = OUTPUT

    def variant(self, dataset: str) -> str:
        """Return how the training differs from the default, or an empty string.

        Args:
            dataset: Name of the data set that is trained on.
        """
        plain = PLAIN if self.plain and any_has_teachers(dataset, self.source.variant) else ""
        searched = SEARCHED if self.searched else ""
        return "-".join(filter(None, (plain, searched, self.source.variant)))


def measure(row: Row, options: Options) -> None:
    """Fill in a row: find or train its weights, then evaluate them on the test split.

    Args:
        row: The row. It gets runs, or a problem with the reason.
        options: How to measure.
    """
    try:
        if not options.train:
            for model in row.members or [row.model]:
                find_entry(model, row.dataset)
        data = options.source.load(row.dataset)
    except medzoo.WeightsError as error:
        row.problem, row.reason = "no weights", str(error)
        return
    except medzoo.DatasetError as error:
        row.problem, row.reason = "no data", str(error)
        return
    for model in [] if options.train else row.members or [row.model]:
        warn_if_trained_on(f"{model}.{row.dataset}", data)
    if row.members:
        evaluate_ensemble(row, data, options)
    elif options.train:
        train_row(row, data, options)
    else:
        evaluate_published(row, data, options)


def evaluate_published(row: Row, data: medzoo.Dataset, options: Options) -> None:
    """Evaluate the published weights of a row.

    Args:
        row: The row; gets one run.
        data: The data set of the row.
        options: How to measure.
    """
    print(f"{row.name}: evaluating the published weights on {data.title} ...", flush=True)
    entry = find_entry(row.model, row.dataset)
    model = medzoo.create_model(entry.name, pretrained=True)
    report = medzoo.evaluate(model, data.test, device=options.device)
    run = {"seed": entry.seed, "val_auc": entry.metrics["val"]["auc"], "sha256": entry.sha256}
    row.seed_stats = dict(entry.seed_stats) if entry.seed_stats else None
    _add_run(row, data, model, run | {"recipe": dict(entry.recipe)}, report, options.output)


def evaluate_ensemble(row: Row, data: medzoo.Dataset, options: Options) -> None:
    """Evaluate an ensemble of published weights, or of the weights just trained, one per seed.

    Args:
        row: The row; gets one run per ensemble.
        data: The data set of the row.
        options: How to measure.
    """
    row.variant = options.variant(row.dataset) if options.train else ""
    output = options.output / row.variant
    folder = output / row.dataset / "models"
    for seed in options.seeds if options.train else (0,):
        print(f"{row.name}: evaluating the ensemble of {', '.join(row.members)} ...", flush=True)
        members = [
            folder / f"{model}-seed{seed}.safetensors"
            if options.train
            else f"{model}.{row.dataset}"
            for model in row.members
        ]
        try:
            model = medzoo.Ensemble(members)
        except medzoo.WeightsError as error:
            row.problem, row.reason = "no weights", f"{error} (train the members first)"
            return
        values: dict[str, Any] = {"seed": seed}
        if options.train:  # the published ensemble is the only one: nothing to choose from
            val = medzoo.evaluate(model, data.val, tta=row.tta, device=options.device, resamples=0)
            values |= {"val_auc": val.auc, "val_acc": val.acc}
        report = medzoo.evaluate(model, data.test, tta=row.tta, device=options.device)
        _add_run(row, data, model, values, report, output)


def train_row(
    row: Row,
    data: medzoo.Dataset,
    options: Options,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Train a row with every seed and evaluate each result on the test split.

    Args:
        row: The row. It gets one run per seed, or a problem if its teachers lack their images.
        data: The data set of the row.
        options: How to measure.
        changes: Changes to the bundled recipe.

    Raises:
        ValueError: If what was searched is to be trained, and nothing was searched for the row.
    """
    variant = row.variant = options.variant(row.dataset)
    if options.searched:
        changes = {**searched_changes(row.name), **changes}
        row.reported = None  # it is of another network
    record = Record(row.dataset, row.model, variant) if options.record else None
    recipe_name, arguments, teachers = "default", dict[str, Any](), dict[str, str]()
    if has_teachers(row.dataset, row.model, options.source.variant) and not options.plain:
        recipe_name = "distilled"
        source = options.source
        try:
            arguments = teach(row.dataset, source, options.output, options.device, row.model)
        except medzoo.DatasetError as error:  # there is no file of the larger images
            row.problem, row.reason = "no data", str(error)
            return
        teachers = trained(row.dataset, source.variant, row.model)
    output = options.output / variant
    for seed in options.seeds:
        print(f"{row.name}: training on {data.title}, seed {seed} ...", flush=True)
        recipe = load_recipe(recipe_name, row.model, row.dataset)
        recipe = recipe.with_changes(seed=seed, **changes)
        if options.epochs:
            recipe = recipe.with_changes(epochs=options.epochs)
        known = None
        if record and options.resume:
            known = record.find(recipe.to_dict(), list(teachers))
        if known:
            row.data_title, row.parameters = data.title, known["parameters"]
            row.runs.append(known)
            continue
        finished = medzoo.train(
            row.model,
            data,
            recipe,
            output=output / row.dataset,
            device=options.device,
            resume=options.resume,
            overwrite=not options.resume,
            **arguments,
        )
        run = uncalibrated(finished)
        report = medzoo.evaluate(run.model, data.test, device=options.device)
        values = {
            "seed": seed,
            "val_auc": run.val_auc,
            "val_acc": run.val_acc,
            "best_epoch": run.best_epoch,
            "images": len(data.train),
            "seconds": sum(epoch["seconds"] for epoch in run.history),
            "recipe": recipe.to_dict(),
            "teachers": list(teachers),
            "teachers_sha256": list(teachers.values()),
            "sha256": sha256_of(run.weights) if run.weights else None,
        }
        _add_run(row, data, run.model, values, report, output, run.history)
        if record:
            details = {"parameters": row.parameters, "history": run.history}
            record.save(row.runs[-1] | details | environment(options.device))


def environment(device: str) -> dict[str, Any]:
    """Return date, versions and machine of a measurement.

    Args:
        device: Device, as in `medzoo.train`.
    """
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "versions": {
            "medzoo": medzoo.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "machine": {
            "processor": processor(resolve_device(device)),
            "threads": torch.get_num_threads(),
        },
    }


def _add_run(
    row: Row,
    data: medzoo.Dataset,
    model: torch.nn.Module,
    values: dict[str, Any],
    report: medzoo.Report,
    output: Path,
    history: list[dict[str, Any]] | None = None,
) -> None:
    row.data_title = data.title
    row.parameters = sum(p.numel() for p in model.parameters())
    row.runs.append(values | {"report": report.to_dict()})
    write_row_plots(row, values["seed"], report, history, output)
    print(report, flush=True)
