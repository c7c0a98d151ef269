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
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from folds import FOLDS
from source import Source
from teachers import teach
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur
from trials import BASE, BASES, TRIALS, Trial

import medzoo
from medzoo.training import load_recipe
from medzoo.weights import write_atomically

RESULTS = Path(__file__).parent / "results" / "ablations.json"


def _own_colours(images: Tensor) -> Tensor:
    """Give every image the same mean and deviation in each channel, its black border aside."""
    x = images.float()
    seen = (x.amax(1, keepdim=True) > 16).float()
    count = seen.sum((2, 3), keepdim=True).clamp(min=1)
    mean = (x * seen).sum((2, 3), keepdim=True) / count
    spread = (((x - mean) * seen).square().sum((2, 3), keepdim=True) / count).sqrt().clamp(min=1)
    return ((128 + 48 * (x - mean) / spread) * seen).round().clamp(0, 255).byte()


def _local_colours(images: Tensor) -> Tensor:
    """Take away each pixel's surroundings, what is dark or bright at large (Graham, 2015)."""
    x = images.float()
    return (128 + 4 * (x - gaussian_blur(x, [13, 13], [3.0, 3.0]))).round().clamp(0, 255).byte()


def _gray(images: Tensor) -> Tensor:
    return images.float().mean(1, keepdim=True).round().byte().expand_as(images).contiguous()


IMAGES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "own colours": _own_colours,
    "local colours": _local_colours,
    "gray": _gray,
}
"""What can be done to all images before anything else."""


def run(trial: Trial, source: Source, seed: int = 0) -> dict[str, Any]:
    """Train one trial and return its record."""
    data = _prepared(trial, source.load(trial.dataset))
    recipe = _base(trial).with_changes(**trial.changes).with_changes(seed=seed)
    recipe = recipe.with_changes(validate_every=recipe.epochs)
    started = time.perf_counter()
    if trial.group == "start":  # three seeds on one division, since a trunk may know the images
        runs = [
            medzoo.train(trial.model, data, recipe.with_changes(seed=seed + k)) for k in range(3)
        ]
    else:
        given = _circumstances(trial, source)
        runs = [_train(trial, part, recipe, given) for part in FOLDS[trial.folds](data)]
    last = [run.history[-1] for run in runs]
    return {
        "data": data.title,
        "seed": seed,
        "runs": len(runs),
        **{score: mean(row[score] for row in last) for score in ("val_auc", "val_acc", "val_loss")},
        "parameters": sum(p.numel() for p in runs[0].model.parameters()),
        "seconds": time.perf_counter() - started,
        "recipe": recipe.to_dict(),
    }


def _base(trial: Trial) -> medzoo.Recipe:
    """Return the recipe that a trial changes."""
    if trial.bundled:
        return load_recipe("default", trial.model, trial.dataset)
    return medzoo.Recipe.from_dict(BASE).with_changes(**BASES[trial.dataset])


def _prepared(trial: Trial, data: medzoo.Dataset) -> medzoo.Dataset:
    """Return the data with what is done to all images first; there is no test split to leave."""
    if not trial.images:
        return data
    change = IMAGES[trial.images]
    train, val = (replace(split, images=change(split.images)) for split in (data.train, data.val))
    return replace(data, train=train, val=val)


def _circumstances(trial: Trial, source: Source) -> dict[str, Any]:
    """Return the Trainer's arguments that a trial needs beside its recipe."""
    if trial.teachers == "published":
        return teach(trial.dataset, source, "training_results")
    return {"larger": source.load(trial.dataset, trial.larger)} if trial.larger else {}


def _train(
    trial: Trial, data: medzoo.Dataset, recipe: medzoo.Recipe, given: Mapping[str, Any]
) -> medzoo.Run:
    """Train a trial's model on a part of the data, its teachers before it."""
    if not trial.teachers:
        return medzoo.train(trial.model, data, recipe, **given)
    taught = recipe.with_changes(distillation=0.8)
    if trial.teachers == "published":
        return medzoo.train(trial.model, data, taught, **given)
    names = [trial.model] * trial.teachers if isinstance(trial.teachers, int) else trial.teachers
    members = []
    for seed, name in enumerate(names, recipe.seed + 1):
        own = recipe if name == trial.model else load_recipe("default", name, trial.dataset)
        members.append(medzoo.train(name, data, own.with_changes(seed=seed)).model)
    return medzoo.train(trial.model, data, taught, teacher=medzoo.Ensemble(members))


def table(dataset: str) -> str:
    """Return a data set's trials as a Markdown table.

    Args:
        dataset: Name of the data set.
    """
    lines = [
        "| Group | Trial | Validation AUC | ACC | Loss | Parameters | Runs |\n"
        "|---|---|---|---|---|---|---|"
    ]
    results = read()
    for trial in TRIALS:
        if trial.dataset == dataset and (row := results.get(trial.key)):
            lines.append(
                f"| {trial.group} | {trial.name} | {row['val_auc']:.4f} | {row['val_acc']:.4f} "
                f"| {row['val_loss']:.4f} | {row['parameters'] / 1e6:.2f} M | {row['runs']} |"
            )
    return "\n".join(lines)


def read() -> dict[str, dict[str, Any]]:
    """Return what was measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


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
        if trial.key in read():
            continue
        record = run(trial, Source(arguments.data_root))
        content = json.dumps(read() | {trial.key: record}, indent=1) + "\n"
        write_atomically(RESULTS, content.encode())
        print(
            f"{trial.key}: AUC {record['val_auc']:.4f}, ACC {record['val_acc']:.4f}, "
            f"loss {record['val_loss']:.4f}, {record['seconds']:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
