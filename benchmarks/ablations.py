"""Try out what a recipe or an architecture is made of: one change at a time, on validation.

    python benchmarks/ablations.py                     # train all trials that have no figures yet
    python benchmarks/ablations.py --only optimiser    # of one kind
    python benchmarks/ablations.py --list

Every trial changes its data set's base in one point; the scores are those of the averaged weights
after the last epoch. The validation splits of the small sets are too small to choose by, so there
a trial is trained three times, on two thirds of training and validation split together, and scored
on the third left out (folds.py). Trials of the weights to start from take the mean of three seeds
instead. The test split is never read. A run writes its recipe, seed, figures and time into
``benchmarks/results/ablations.json`` as soon as it ends.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from figures import RESULTS, Figures
from folds import FOLDS
from source import Source
from teachers import teach
from torch import nn
from trials import BASE, BASES, TRIALS, Member, Trial
from views import Viewer, seen_as

import medzoo
from medzoo.inference import predict_logits
from medzoo.training import load_recipe
from medzoo.transforms import input_spec

FIGURES = Figures(RESULTS / "ablations.json")


def run(trial: Trial, source: Source, seed: int = 0) -> dict[str, Any]:
    """Train one trial and return its record."""
    started = time.perf_counter()
    record = _together(trial, source) if trial.members else _alone(trial, source, seed)
    return record | {"seconds": time.perf_counter() - started}


def _alone(trial: Trial, source: Source, seed: int) -> dict[str, Any]:
    """Train a trial's model, once a fold or a seed, and average its validation figures."""
    data = source.load(trial.dataset, trial.size)
    if trial.evenly:
        data = replace(data, train=_evenly(data.train))
    recipe = _base(trial).with_changes(**trial.changes).with_changes(seed=seed)
    recipe = recipe.with_changes(validate_every=recipe.epochs)
    given = _circumstances(trial, source)
    if trial.group == "start":  # three seeds on one division, since a backbone may know the images
        plan = [(data, recipe.with_changes(seed=seed + k)) for k in range(3)]
    else:
        plan = [(seen_as(part, trial.images), recipe) for part in FOLDS[trial.folds](data)]
    runs = [_train(trial, part, recipe, given) for part, recipe in plan]
    scores = [
        _otherwise(trial, run, part, source) or run.history[-1]
        for run, (part, _) in zip(runs, plan, strict=True)
    ]
    return {
        "data": data.title,
        "seed": seed,
        "runs": len(runs),
        **{name: mean(row[name] for row in scores) for name in ("val_auc", "val_acc", "val_loss")},
        "parameters": sum(p.numel() for p in runs[0].model.parameters()),
        "recipe": recipe.to_dict(),
    }


def _evenly(train: medzoo.Split) -> medzoo.Split:
    """Return a single-label training split in which the images of rare classes are repeated."""
    counts = train.labels.bincount()
    times = (counts.max() / counts).round().long()
    rows = torch.arange(len(train)).repeat_interleave(times[train.labels])
    return train.subset(rows)


def _base(trial: Trial) -> medzoo.Recipe:
    """Return the recipe that a trial changes."""
    if trial.bundled:
        return load_recipe("default", trial.model, trial.dataset)
    return medzoo.Recipe.from_dict(BASE).with_changes(**BASES[trial.dataset])


def _circumstances(trial: Trial, source: Source) -> dict[str, Any]:
    """Return the Trainer's arguments that a trial needs beside its recipe."""
    if trial.teachers == "published":
        return teach(trial.dataset, source, "training_results")
    return {"high_res": source.load(trial.dataset, trial.high_res)} if trial.high_res else {}


def _train(
    trial: Trial, data: medzoo.Dataset, recipe: medzoo.Recipe, given: Mapping[str, Any]
) -> medzoo.Run:
    """Train a trial's model on a part of the data, its teachers before it."""
    if not trial.teachers:
        return medzoo.train(trial.model, data, recipe, **given)
    taught = recipe.with_changes(distillation=0.8)
    if trial.teachers == "published":
        return medzoo.train(trial.model, data, taught, **given)
    members = [
        medzoo.train(trial.model, data, recipe.with_changes(seed=recipe.seed + k)).model
        for k in range(1, 1 + trial.teachers)
    ]
    return medzoo.train(trial.model, data, taught, teacher=medzoo.Ensemble(members))


def _otherwise(
    trial: Trial, run: medzoo.Run, data: medzoo.Dataset, source: Source
) -> dict[str, float] | None:
    """Validate a trained model in another way than its training did, if the trial says so."""
    if not trial.evaluated and not trial.logit_adjustment:
        return None
    val = source.load(trial.dataset, trial.evaluated).val if trial.evaluated else data.val
    bias = run.model.get_parameter(f"{run.model.pretrained_cfg['classifier']}.bias")
    shares = data.train.labels.bincount(minlength=data.info.num_classes) / len(data.train)
    with torch.no_grad():  # what is the same for every image is a matter of the bias
        bias.sub_(trial.logit_adjustment * shares.log())
    return _scores(run.model, val, max(trial.size, trial.evaluated))


def _scores(model: nn.Module, val: medzoo.Split, size: int) -> dict[str, float]:
    """Return a model's figures on a validation split whose images it gets in a size."""
    config = replace(input_spec(model), size=size)
    report = medzoo.evaluate(model, val, config=config, resamples=0)
    loss = F.cross_entropy(predict_logits(model, val.images, config=config), val.labels)
    return {"val_auc": report.auc, "val_acc": report.acc, "val_loss": float(loss)}


def _together(trial: Trial, source: Source) -> dict[str, Any]:
    """Train a trial's members, unless an earlier trial did, and evaluate the mean of each fold's."""
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
    """Train a member by its data set's bundled recipe, or load it; make it see its view."""
    output = Path("training_results/trials") / data.info.name / name / (member.view or "plain")
    path = output / "models" / f"{member.model}-seed{member.seed}.safetensors"
    if not path.exists():
        recipe = load_recipe("default", member.model, data.info.name)
        seen = seen_as(data, member.view)
        medzoo.train(member.model, seen, recipe.with_changes(seed=member.seed), output=output)
    model = medzoo.create_model(path)
    return Viewer(model, member.view) if member.view else model


def table(dataset: str, alike: bool = False) -> str:
    """Return a data set's trials as a Markdown table.

    Args:
        dataset: Name of the data set.
        alike: Whether those in folds of images that are alike; or all others.
    """
    lines = [
        "| Group | Trial | Validation AUC | ACC | Loss | Parameters | Runs |\n"
        "|---|---|---|---|---|---|---|"
    ]
    results = FIGURES.read()
    for trial in TRIALS:
        wanted = trial.dataset == dataset and (trial.folds == "alike") == alike
        if wanted and (row := results.get(trial.key)):
            lines.append(
                f"| {trial.group} | {trial.name} | {row['val_auc']:.4f} | {row['val_acc']:.4f} "
                f"| {row['val_loss']:.4f} | {row['parameters'] / 1e6:.2f} M | {row['runs']} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="TEXT", help="trials with this in their name")
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    parser.add_argument("--list", action="store_true", help="print the trials and stop")
    arguments = parser.parse_args()
    for trial in TRIALS:
        if arguments.only and arguments.only not in trial.key:
            continue
        if arguments.list:
            print(trial.key)
            continue
        if trial.key in FIGURES.read():
            continue
        record = run(trial, Source(arguments.data_root))
        FIGURES.keep(trial.key, record)
        print(
            f"{trial.key}: AUC {record['val_auc']:.4f}, ACC {record['val_acc']:.4f}, "
            f"loss {record['val_loss']:.4f}, {record['seconds']:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
