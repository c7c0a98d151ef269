"""Try out what a recipe or an architecture is made of: one change at a time, on validation.

    python benchmarks/ablations.py                     # train all trials that have no figures yet
    python benchmarks/ablations.py --only optimiser    # of one kind
    python benchmarks/ablations.py --list

Every trial changes its data set's base in one point; the scores are those of the averaged weights
after the last epoch. The validation splits of the small sets are too small to choose by, so there
a trial is trained three times, on two thirds of training and validation split together, and scored
on the third left out. Trials of the weights to start from take the mean of three seeds instead. The test split is never read. A run writes its recipe, seed, figures and time
into ``benchmarks/results/ablations.json`` as soon as it ends.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from sklearn.model_selection import StratifiedKFold
from source import Source
from teachers import teach

import medzoo
from medzoo.weights import write_atomically

RESULTS = Path(__file__).parent / "results" / "ablations.json"

TRUNK = "training_results/medmnist/models/advanced_cnn.medmnist.safetensors"  # by trunk.py
SMALL = {"widths": (32, 64, 128, 256), "depths": (1, 1, 1, 1), "strides": (1, 2, 2, 2)}
WIDE = {"widths": (48, 128, 272, 384), "depths": (1, 1, 2, 1)}
FOLDS = {"breastmnist": 3, "retinamnist": 3}  # how many parts
BASE: Mapping[str, Any] = {
    "epochs": 12,
    "optimizer": "muon",
    "learning_rate": 0.02,
    "weight_decay": 0.05,
    "warmup": 0.1,
    "label_smoothing": 0.05,
    "ema_decay": 0.99,
    "augmentation": {
        "horizontal_flip": 0.5,
        "vertical_flip": 0.5,
        "rotation": 15,
        "scale": 0.1,
        "shift": 0.05,
        "brightness": 0.0,
        "contrast": 0.0,
        "mixup": 0.0,
        "mix_probability": 0.0,
    },
    "model_args": {**SMALL, "drop_rate": 0.0},
}
"""The recipe that trials change: a narrow advanced_cnn, so that many can be tried."""
BASES: Mapping[str, Mapping[str, Any]] = {
    "dermamnist": {},
    "breastmnist": {"epochs": 20, "batch_size": 64, "augmentation": {"vertical_flip": 0.0}},
    "retinamnist": {"epochs": 20, "batch_size": 64, "augmentation": {"vertical_flip": 0.0}},
    "pneumoniamnist": {"epochs": 20, "augmentation": {"vertical_flip": 0.0}},
}
"""What is different in it for each data set."""


@dataclass(frozen=True)
class Trial:
    """One change to a base recipe.

    Attributes:
        group: What kind of change it is.
        name: The change, as a reader of the table sees it.
        changes: To the fields of `BASE`.
        dataset: What it is trained on.
        model: Name of the architecture.
        larger: Size of the training images at which random changes are made; 0 for the usual one.
        teachers: How many models of other seeds are trained first and then teach together, at the
            same base with the same changes; or ``"published"``, those of teachers.py.
    """

    group: str
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = "dermamnist"
    model: str = "advanced_cnn"
    larger: int = 0
    teachers: int | str = 0

    @property
    def key(self) -> str:
        """Return what names the trial in the file of results."""
        return f"{self.dataset}/{self.model}: {self.group}: {self.name}"


def _augment(**changes: float) -> dict[str, Any]:
    return {"augmentation": changes}


def _model(**changes: Any) -> dict[str, Any]:
    return {"model_args": changes}


_LONG = {"epochs": 60}
_ALL = _augment(
    rotation=180,
    vertical_flip=0.5,
    shift=0.1,
    scale=0.2,
    brightness=0.3,
    contrast=0.3,
    mixup=0.2,
    mix_probability=0.5,
)
_DROPOUT = _model(drop_rate=0.3)
_STRONG = _ALL | _DROPOUT
_ERASING = {"augmentation": _ALL["augmentation"] | {"erasing": 0.5}}
_MIXUP = _augment(mixup=0.2, mix_probability=0.5)
_LIGHT = _augment(brightness=0.4, contrast=0.4)
TRIALS = (
    Trial("base", "base"),
    Trial("augmentation", "any rotation", _augment(rotation=180)),
    Trial("larger images", "random changes at 64 px", larger=64),
    Trial("teacher", "at 64 px, random changes there, too", teachers="published"),
    Trial("size", "5.04 M: widths 32/96/288/512", _model(widths=(32, 96, 288, 512))),
    Trial("optimiser", "AdamW, 2e-3", {"optimizer": "adamw", "learning_rate": 2e-3}),
    Trial("augmentation", "mixup on half", _augment(mixup=0.2, mix_probability=0.5)),
    Trial("schedule", "36 epochs", {"epochs": 36}),
    Trial("augmentation", "CutMix on half", _augment(cutmix=1.0, mix_probability=0.5)),
    Trial("loss", "label smoothing 0.1", {"label_smoothing": 0.1}),
    Trial("loss", "no label smoothing", {"label_smoothing": 0.0}),
    Trial("regularisation", "dropout 0.2", _model(drop_rate=0.2)),
    Trial("regularisation", "stochastic depth 0.1", _model(drop_path_rate=0.1)),
    Trial("optimiser", "Muon, 0.04", {"learning_rate": 0.04}),
    Trial("optimiser", "Muon, 0.01", {"learning_rate": 0.01}),
    Trial("attention", "none", _model(attention="")),
    Trial("attention", "ECA", _model(attention="eca")),
    Trial("attention", "CBAM", _model(attention="cbam")),
    Trial("augmentation", "erasing", _augment(erasing=0.25)),
    Trial("augmentation", "colour", _augment(brightness=0.1, contrast=0.1, saturation=0.1)),
    Trial("loss", "class-balanced", {"class_weights": "balanced"}),
    Trial(
        "optimiser",
        "SGD with Nesterov momentum, 0.1",
        {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
    ),
    Trial("average", "EMA 0.995", {"ema_decay": 0.995}),
    Trial("average", "no EMA", {"ema_decay": 0.0}),
    Trial("optimiser", "weight decay 0.2", {"weight_decay": 0.2}),
    *(
        Trial("teacher", f"{name}, an ensemble of 4", changes, dataset, teachers=4)
        for dataset in FOLDS
        for name, changes in (
            ("base", {}),
            ("all augmentations", _ALL),
            ("three times the epochs, mixup on half", _LONG | _MIXUP),
            ("dropout 0.3, brightness and contrast 0.4", _DROPOUT | _LIGHT),
        )
    ),
    *(
        Trial(group, name, changes, dataset)
        for dataset in ("breastmnist", "retinamnist", "pneumoniamnist")
        for group, name, changes in (
            ("base", "base", {}),
            ("start", "random weights", {}),
            ("start", "the trunk of all sets", {"trunk": TRUNK}),
            (
                "start",
                "the trunk, at a quarter of the rate",
                {"trunk": TRUNK, "learning_rate": 5e-3},
            ),
            ("size", "5.01 M", _model(**WIDE)),
            ("augmentation", "any rotation", _augment(rotation=180, vertical_flip=0.5)),
            ("augmentation", "flips alone", _augment(rotation=0, scale=0.0, shift=0.0)),
            ("augmentation", "shift 0.1, scale 0.2", _augment(shift=0.1, scale=0.2)),
            ("augmentation", "brightness and contrast 0.2", _augment(brightness=0.2, contrast=0.2)),
            ("augmentation", "brightness and contrast 0.4", _LIGHT),
            ("augmentation", "erasing on half", _augment(erasing=0.5)),
            ("augmentation", "mixup on half", _MIXUP),
            ("augmentation", "CutMix on half", _augment(cutmix=1.0, mix_probability=0.5)),
            ("loss", "class-balanced", {"class_weights": "balanced"}),
            ("loss", "label smoothing 0.2", {"label_smoothing": 0.2}),
            ("loss", "label smoothing 0.4", {"label_smoothing": 0.4}),
            ("optimiser", "AdamW, 2e-3", {"optimizer": "adamw", "learning_rate": 2e-3}),
            ("optimiser", "Muon, 0.005", {"learning_rate": 5e-3}),
            ("regularisation", "dropout 0.3", _DROPOUT),
            ("regularisation", "stochastic depth 0.2", _model(drop_path_rate=0.2)),
            ("regularisation", "weight decay 0.5", {"weight_decay": 0.5}),
            ("schedule", "half the epochs", {"epochs": BASES[dataset]["epochs"] // 2}),
            ("schedule", "three times the epochs", _LONG),
            ("several", "all augmentations", _ALL),
            ("several", "all augmentations, dropout 0.3", _STRONG),
            ("several", "all augmentations, dropout 0.3, erasing", _STRONG | _ERASING),
            (
                "several",
                "all augmentations, dropout 0.3, EMA 0.997",
                _STRONG | {"ema_decay": 0.997},
            ),
            ("several", "all augmentations, dropout 0.5", _ALL | _model(drop_rate=0.5)),
            ("several", "all augmentations, three times the epochs", _LONG | _ALL),
            (
                "several",
                "all augmentations, three times the epochs, 5.01 M",
                _LONG | _ALL | _model(**WIDE),
            ),
            (
                "several",
                "all augmentations, three times the epochs, AdamW, 2e-3",
                _LONG | _ALL | {"optimizer": "adamw", "learning_rate": 2e-3},
            ),
            (
                "schedule",
                "three times the epochs, mixup on half",
                _LONG | _MIXUP,
            ),
        )
    ),
)


def run(trial: Trial, source: Source, seed: int = 0) -> dict[str, Any]:
    """Train one trial and return its record."""
    data = source.load(trial.dataset)
    recipe = medzoo.Recipe.from_dict(BASE).with_changes(**BASES[trial.dataset])
    recipe = recipe.with_changes(**trial.changes).with_changes(seed=seed)
    recipe = recipe.with_changes(validate_every=recipe.epochs)
    started = time.perf_counter()
    if trial.group == "start":  # the trunk has seen the training split: the folds would leak
        runs = [
            medzoo.train(trial.model, data, recipe.with_changes(seed=seed + k)) for k in range(3)
        ]
    else:
        given = _circumstances(trial, source)
        runs = [_train(trial, part, recipe, given) for part in _parts(data)]
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
    if not isinstance(trial.teachers, int):
        return medzoo.train(trial.model, data, taught, **given)
    members = [
        medzoo.train(trial.model, data, recipe.with_changes(seed=recipe.seed + k)).model
        for k in range(1, 1 + trial.teachers)
    ]
    return medzoo.train(trial.model, data, taught, teacher=medzoo.Ensemble(members))


def _parts(data: medzoo.Dataset) -> list[medzoo.Dataset]:
    """Return the data set, or its training and validation images divided anew, a part a fold."""
    folds = FOLDS.get(data.info.name)
    if folds is None:
        return [data]
    images = torch.cat([data.train.images, data.val.images])
    labels = torch.cat([data.train.labels, data.val.labels])
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    return [
        replace(
            data,
            train=replace(data.train, images=images[inside], labels=labels[inside]),
            val=replace(data.val, images=images[outside], labels=labels[outside]),
        )
        for inside, outside in splitter.split(images, labels)
    ]


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
