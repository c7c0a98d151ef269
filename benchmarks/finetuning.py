"""Which rates fine-tuning wants: the recipe ``finetune`` and changes to it, on validation folds.

    python benchmarks/finetuning.py            # run all that has no figures yet, or old ones
    python benchmarks/finetuning.py --list

Validation splits of the small sets are too small to choose by, so each setting is trained three
times, on two thirds of training and validation split together, or on a part of them, and scored on
the third left out (folds.py), after its last epoch. The test split is never read. A setting is
written into ``benchmarks/results/finetuning.json`` as soon as it has its figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from statistics import mean
from typing import Any

from backbone import path_of
from figures import RESULTS, Figures
from folds import FOLDS
from source import Source
from transfer import few

import medzoo
from medzoo.files import sha256_of
from medzoo.models import architecture_of
from medzoo.training import load_recipe
from medzoo.weights import weights_index

FIGURES = Figures(RESULTS / "finetuning.json")
DATASETS = {"breastmnist": "random", "retinamnist": "alike"}
"""The data sets, and how their images are divided, a key of `folds.FOLDS`."""
OTHERS = "advanced_cnn, the three other sets"
"""The backbone of backbone.py that has not seen the data set."""
BACKBONES = (
    "advanced_cnn.dermamnist",
    OTHERS,
    "simple_cnn.dermamnist",
    "efficientnet.dermamnist",
    "attention_unet.dermamnist",
)
"""What a training starts from: published weights, or `OTHERS`."""
SHARES = (0.3, 1.0)
_MUON = {"optimizer": "muon", "learning_rate": 0.02}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "AdamW 0.002, 0.7 a layer": {"learning_rate": 0.002, "layer_decay": 0.7},
    "AdamW 0.002, all layers alike": {"learning_rate": 0.002, "layer_decay": 1.0},
    "AdamW 0.005, 0.7 a layer": {"learning_rate": 0.005, "layer_decay": 0.7},
    "AdamW 0.005, all layers alike": {"learning_rate": 0.005, "layer_decay": 1.0},
    "Muon 0.02, 0.7 a layer": {**_MUON, "layer_decay": 0.7},
    "Muon 0.02, all layers alike": {**_MUON, "layer_decay": 1.0},
}
"""Changes to the recipe, by what the table calls them."""


@dataclass(frozen=True)
class Trial:
    """A setting on a data set, from a backbone.

    Attributes:
        dataset: A key of `DATASETS`.
        backbone: One of `BACKBONES`.
        share: Of each fold's training images, in (0, 1].
        setting: A key of `SETTINGS`.
    """

    dataset: str
    backbone: str
    share: float
    setting: str

    @property
    def key(self) -> str:
        """Return what names the trial in the file of results."""
        return f"{self.dataset}/{self.backbone}/{self.share:.0%}/{self.setting}"

    @property
    def source(self) -> str:
        """Return what `medzoo.finetune` starts from."""
        return str(path_of(without=self.dataset)) if self.backbone == OTHERS else self.backbone

    @property
    def sha256(self) -> str:
        """Return which weights these are."""
        if self.backbone == OTHERS:
            return sha256_of(self.source)
        return weights_index()[self.backbone].sha256


def trials() -> list[Trial]:
    """Return the trials of all backbones that exist here."""
    everything = product(DATASETS, BACKBONES, SHARES, SETTINGS)
    found = (Trial(*values) for values in everything)
    return [t for t in found if t.backbone != OTHERS or path_of(without=t.dataset).exists()]


def recipe_of(trial: Trial) -> medzoo.Recipe:
    """Return the recipe with the trial's setting; only its last epoch is validated."""
    architecture = architecture_of(trial.source)
    recipe = load_recipe("finetune", architecture, trial.dataset, backbone=trial.source)
    return recipe.with_changes(**SETTINGS[trial.setting], validate_every=recipe.epochs)


def is_current(record: Mapping[str, Any], trial: Trial) -> bool:
    """Tell whether a record is of the weights and the recipe that the trial now has."""
    same_recipe = medzoo.Recipe.from_dict(record["recipe"]) == recipe_of(trial)
    return same_recipe and record["sha256"] == trial.sha256


def run(trial: Trial, source: Source) -> dict[str, Any]:
    """Fine-tune a fold at a time and return the record, with the means over the folds."""
    began = time.perf_counter()
    data = source.load(trial.dataset)
    recipe = recipe_of(trial)
    runs = [
        medzoo.finetune(trial.source, few(part, trial.share, seed=0), recipe, progress=False)
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


def table(results: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return the validation AUC as a Markdown table; "-" where a setting was not tried.

    Args:
        results: Records by the trials' keys; by default those that were kept.
    """
    results = FIGURES.read() if results is None else results
    lines = [
        f"| Data set | Backbone | Labels | {' | '.join(SETTINGS)} |",
        "|---" * (3 + len(SETTINGS)) + "|",
    ]
    for dataset, backbone, share in product(DATASETS, BACKBONES, SHARES):
        rows = [results.get(Trial(dataset, backbone, share, setting).key) for setting in SETTINGS]
        if not any(rows):
            continue
        title = medzoo.dataset_info(dataset).title
        cells = [f"{row['val_auc']:.3f}" if row else "-" for row in rows]
        lines.append(f"| {title} | {backbone} | {100 * share:.0f} % | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="run trials whose name contains this")
    parser.add_argument("--list", action="store_true", help="list the trials, do not run them")
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    arguments = parser.parse_args()
    for trial in trials():
        if arguments.only not in trial.key:
            continue
        if arguments.list:
            print(trial.key)
            continue
        known = FIGURES.read().get(trial.key)
        if known and is_current(known, trial):
            continue
        record = run(trial, Source(arguments.data_root))
        FIGURES.keep(trial.key, record)
        print(
            f"{trial.key}: AUC {record['val_auc']:.4f}, {record['seconds']:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
