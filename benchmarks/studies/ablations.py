"""Ablations of recipes and architectures: one change at a time, scored on validation images.

Every trial changes one thing in the base recipe of its data set. Scores are those of the averaged
weights after the last epoch. The validation splits of the small data sets are too small for a
choice, so their trials are trained three times, on two thirds of the training and validation
images, and scored on the remaining third (folds.py), or with several seeds. The test split is never
read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import medzoo
from benchmarks.reporting.format import markdown_table, millions
from benchmarks.reporting.paths import OUTPUT, RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.reproduction.teachers import teach
from benchmarks.reproduction.uncalibrated import uncalibrated
from benchmarks.reproduction.views import ViewClassifier, apply_view
from benchmarks.studies.ablation_trials import Ablation, Member, ablations
from benchmarks.studies.folds import FOLDS
from benchmarks.studies.study import Study
from medzoo.inference import predict_logits
from medzoo.training import load_recipe

RECORDS = ResultsFile(RESULTS / "ablations.json")
SCORES = ("val_auc", "val_acc", "val_loss")
HEADER = ("Group", "Trial", "Validation AUC", "ACC", "Loss", "Parameters", "Runs")
SEED = 0


def run(trial: Ablation, source: Source) -> dict[str, Any]:
    """Train one trial and return its record.

    Args:
        trial: The trial.
        source: Source of the images.
    """
    started = time.perf_counter()
    record = _run_ensemble(trial, source) if trial.members else _run_model(trial, source)
    return record | {"seconds": time.perf_counter() - started}


def _run_model(trial: Ablation, source: Source) -> dict[str, Any]:
    """Train the model of a trial, once per fold or seed, and average its validation scores."""
    data = source.load(trial.dataset, trial.size)
    if trial.oversampled:
        data = replace(data, train=_oversampled(data.train))
    recipe = trial.base.with_changes(**trial.changes).with_changes(seed=SEED)
    recipe = recipe.with_changes(validate_every=recipe.epochs)
    arguments = _trainer_arguments(trial, source)
    # Trials with several seeds keep the split: a backbone may know the images.
    parts = [data] if trial.seeds > 1 else FOLDS[trial.folds](data)
    plan = [
        (apply_view(part, trial.view), recipe.with_changes(seed=SEED + number))
        for part in parts
        for number in range(trial.seeds)
    ]
    runs = [_train(trial, part, recipe, arguments) for part, recipe in plan]
    scores = [
        _other_scores(trial, run, part, source) or run.history[-1]
        for run, (part, _) in zip(runs, plan, strict=True)
    ]
    also = [
        _scores(run.model, apply_view(part, trial.also).val, trial.size)
        for run, (part, _) in zip(runs, plan, strict=True)
        if trial.also
    ]
    return {
        "data": data.title,
        "seed": SEED,
        "runs": len(runs),
        **{name: mean(row[name] for row in scores) for name in SCORES},
        **({"also": {name: mean(row[name] for row in also) for name in SCORES}} if also else {}),
        "parameters": sum(p.numel() for p in runs[0].model.parameters()),
        "recipe": recipe.to_dict(),
    }


def _oversampled(train: medzoo.Split) -> medzoo.Split:
    """Return a single-label training split in which images of rare classes are repeated."""
    counts = train.labels.bincount()
    times = (counts.max() / counts).round().long()
    rows = torch.arange(len(train)).repeat_interleave(times[train.labels])
    return train.subset(rows)


def _trainer_arguments(trial: Ablation, source: Source) -> dict[str, Any]:
    """Return the arguments of the Trainer that a trial needs in addition to its recipe."""
    if trial.teachers == "published":
        return teach(trial.dataset, source, OUTPUT)
    return {"high_res": source.load(trial.dataset, trial.high_res)} if trial.high_res else {}


def _train(
    trial: Ablation, data: medzoo.Dataset, recipe: medzoo.Recipe, arguments: Mapping[str, Any]
) -> medzoo.Run:
    """Train the model of a trial on a fold; if it has teachers, train those first."""
    if not trial.teachers:
        return uncalibrated(medzoo.train(trial.model, data, recipe, **arguments))
    taught = recipe.with_changes(distillation=0.8)
    if trial.teachers == "published":
        return uncalibrated(medzoo.train(trial.model, data, taught, **arguments))
    members = [
        uncalibrated(
            medzoo.train(trial.model, data, recipe.with_changes(seed=recipe.seed + k))
        ).model
        for k in range(1, 1 + trial.teachers)
    ]
    return uncalibrated(medzoo.train(trial.model, data, taught, teacher=medzoo.Ensemble(members)))


def _other_scores(
    trial: Ablation, run: medzoo.Run, data: medzoo.Dataset, source: Source
) -> dict[str, float] | None:
    """Validate a trained model differently from its training, or return None if not needed."""
    if not trial.evaluated and not trial.logit_adjustment:
        return None
    val = source.load(trial.dataset, trial.evaluated).val if trial.evaluated else data.val
    bias = run.model.get_parameter(f"{run.model.pretrained_cfg['classifier']}.bias")
    shares = data.train.labels.bincount(minlength=data.info.num_classes) / len(data.train)
    with torch.no_grad():  # the same for every image, so it belongs to the bias
        bias.sub_(trial.logit_adjustment * shares.log())
    return _scores(run.model, val, max(trial.size, trial.evaluated))


def _scores(model: nn.Module, val: medzoo.Split, size: int) -> dict[str, float]:
    """Return the scores of a model on a validation split at an image size."""
    own = medzoo.spec_of(model)
    spec = replace(own, input=replace(own.input, size=size))
    report = medzoo.evaluate(model, val, spec=spec, resamples=0)
    loss = F.cross_entropy(predict_logits(model, val.images, spec=spec).float(), val.labels)
    return {"val_auc": report.auc, "val_acc": report.acc, "val_loss": float(loss)}


def _run_ensemble(trial: Ablation, source: Source) -> dict[str, Any]:
    """Train the members of a trial if necessary, and evaluate the ensemble of each fold."""
    data = source.load(trial.dataset)
    scores, counts = [], []
    for fold, part in enumerate(FOLDS[trial.folds](data)):
        models = [_member(member, part, f"{trial.folds}-fold{fold}") for member in trial.members]
        ensemble = medzoo.Ensemble(models)
        scores.append(_scores(ensemble, part.val, trial.size))
        counts.append(sum(p.numel() for p in ensemble.parameters()))
    return {
        "data": data.title,
        "runs": len(scores),
        **{name: mean(row[name] for row in scores) for name in scores[0]},
        "parameters": counts[0],
        "members": [asdict(member) for member in trial.members],
    }


def _member(member: Member, data: medzoo.Dataset, name: str) -> nn.Module:
    """Load a member, or train it with the bundled recipe; make it see its view."""
    output = OUTPUT / "trials" / data.info.name / name / (member.view or "plain")
    path = output / "models" / f"{member.model}-seed{member.seed}.safetensors"
    if not path.exists():
        recipe = load_recipe("default", member.model, data.info.name)
        seen = apply_view(data, member.view)
        medzoo.train(member.model, seen, recipe.with_changes(seed=member.seed), output=output)
    model = medzoo.create_model(path)
    model.temperature = 1.0  # see `uncalibrated`
    return ViewClassifier(model, member.view) if member.view else model


def table(dataset: str, alike: bool = False) -> str:
    """Return the trials of a data set as a Markdown table.

    Args:
        dataset: Name of the data set.
        alike: Whether to return those with folds of similar images, instead of all others.
    """
    records = RECORDS.read()
    found = [
        (trial, record)
        for trial in ablations()
        if trial.dataset == dataset and (trial.folds == "alike") == alike
        if (record := records.get(trial.key))
    ]
    also = next((trial.also for trial, _ in found if trial.also), "")
    header = (*HEADER, *(f"{score}, {also}" for score in ("AUC", "ACC", "Loss") if also))
    rows = [
        (
            trial.group,
            trial.name,
            *_cells(record),
            millions(record["parameters"]),
            str(record["runs"]),
            *(_cells(record["also"]) if also else ()),
        )
        for trial, record in found
    ]
    return markdown_table(header, rows)


def _cells(scores: Mapping[str, float]) -> list[str]:
    return [f"{scores[name]:.4f}" for name in SCORES]


def all_tables() -> str:
    """Return the tables of all data sets, each under its name."""
    parts = []
    for dataset in dict.fromkeys(trial.dataset for trial in ablations()):
        parts.append(f"**{dataset}**\n\n{table(dataset)}")
    parts.append(f"**retinamnist, folds of similar images**\n\n{table('retinamnist', alike=True)}")
    return "\n\n".join(parts)


def _summary(record: Mapping[str, Any]) -> str:
    return (
        f"AUC {record['val_auc']:.4f}, ACC {record['val_acc']:.4f}, "
        f"loss {record['val_loss']:.4f}, {record['seconds']:.0f} s"
    )


ABLATIONS = Study(
    name="ablations",
    description="which changes to recipe or architecture improve validation scores",
    results=RECORDS,
    trials=ablations,
    run=run,
    table=all_tables,
    summary=_summary,
)
