"""Train one backbone on several data sets at once: the checkpoint ``advanced_cnn.medmnist``.

    python -m benchmarks.release.backbone
    python -m benchmarks.release.backbone --without breastmnist    # on the other data sets

All images are converted to RGB, and the classes of all data sets become the classes of one task for
an ordinary training. Data sets are easy to distinguish, so most of what is learned is how to
distinguish the classes within each. Only training and validation splits are read, and the
classifier is discarded. A backbone ``--without`` a data set allows a fair comparison on it.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

import medzoo
from benchmarks.reporting.paths import OUTPUT
from benchmarks.reproduction.source import Source
from medzoo.models import save_weights
from medzoo.training import load_recipe

SETS = {"dermamnist": 1, "pneumoniamnist": 1, "retinamnist": 3, "breastmnist": 4}
"""The data sets, and how often each of their images is seen per epoch: small ones more often."""
MODEL = "advanced_cnn"
TAG = "medmnist"


def path_of(without: str = "", output: str | Path = OUTPUT) -> Path:
    """Return the weights file of a backbone.

    Args:
        without: The data set that was left out, if any.
        output: Output folder of trainings.
    """
    tag = f"{TAG}-without-{without}" if without else TAG
    return Path(output) / tag / "models" / f"{MODEL}.{tag}.safetensors"


def files_of(data_root: str | None, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the provenance of each data set, so that a model card can name file and md5.

    Args:
        data_root: Folder of MedMNIST files.
        names: Names of the data sets.
    """
    source = Source(data_root)
    return {name: source.load(name).provenance.to_dict() for name in names}


def joint_data(data_root: str | None, names: Collection[str] = SETS.keys()) -> medzoo.Dataset:
    """Return several data sets as one; its test split repeats the validation split.

    Args:
        data_root: Folder of MedMNIST files.
        names: Names of the data sets, keys of `SETS`.
    """
    parts: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {"train": [], "val": []}
    classes: list[str] = []
    for name in names:
        visits = SETS[name]
        data = Source(data_root).load(name)
        for split, times in (("train", visits), ("val", 1)):
            images = data.splits[split].images.expand(-1, 3, -1, -1)  # type: ignore[index]
            labels = data.splits[split].labels + len(classes)  # type: ignore[index]
            parts[split].append((images.repeat(times, 1, 1, 1), labels.repeat(times)))
        classes += [f"{name}: {label}" for label in data.info.classes]
    joined = {
        split: (torch.cat([images for images, _ in pairs]), torch.cat([y for _, y in pairs]))
        for split, pairs in parts.items()
    }
    return medzoo.Dataset.from_arrays(
        joined["train"],
        joined["val"],
        joined["val"],
        name=TAG,
        classes=classes,
        licence="CC BY-NC 4.0",  # the strictest licence of the data sets
        description=f"The training splits of {', '.join(names)}",
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    parser.add_argument("--output", default=OUTPUT, help="output folder (%(default)s)")
    parser.add_argument("--without", choices=SETS, help="a data set to leave out", default="")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted training")
    arguments = parser.parse_args()
    sets = {name: visits for name, visits in SETS.items() if name != arguments.without}
    data = joint_data(arguments.data_root, sets)
    recipe = load_recipe("default", MODEL, TAG)
    path = path_of(arguments.without, arguments.output)
    run = medzoo.train(
        MODEL,
        data,
        recipe,
        output=path.parents[1],
        resume=arguments.resume,
        overwrite=not arguments.resume,
    )
    print(f"{data}: validation AUC {run.val_auc:.4f}, ACC {run.val_acc:.4f}")
    run.model.reset_classifier(0)
    training = {
        "recipe": run.recipe.to_dict(),
        "data": {
            "file": None,
            "md5": None,
            "official": False,
            "sets": sets,
            "files": files_of(arguments.data_root, sets),
        },
        "val_auc": run.val_auc,
        "val_acc": run.val_acc,
    }
    print(save_weights(run.model, path, training=training))


if __name__ == "__main__":
    main()
