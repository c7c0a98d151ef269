"""Why EfficientNet scored 25 %: a gate that replaces the features, and its fix.

Trains one small MBConv network on OCTMNIST in four variants, as the reported network was trained.
In the broken ones the output of squeeze-and-excitation, a 1 x 1 map, *replaces* the features
instead of scaling them (as in ``nn.Sequential(..., pool, conv, act, conv, sigmoid, ...)``), with or
without a residual path.
Nothing is chosen: the test split only shows what becomes of the collapse there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from torch import Tensor, nn

import medzoo
from benchmarks.reporting.format import markdown_table, mean_and_range
from benchmarks.reporting.palette import GRAY, GREEN, ORANGE, SKY, YELLOW
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import SingleResult
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import NamedTrial, Study
from medzoo.transforms import input_spec, prepare_batch

RECORD = SingleResult(RESULTS / "gate_ablation.json", indent=1)
DATASET = "octmnist"
RECIPE = {
    "epochs": 12,
    "batch_size": 64,
    "optimizer": "adamw",
    "learning_rate": 0.001,
    "label_smoothing": 0.0,
    "class_weights": "none",
    "ema_decay": 0.0,  # to show the behaviour of batch norm itself
    "validate_every": 1,
    "augmentation": dict.fromkeys(
        ("horizontal_flip", "rotation", "scale", "widen", "shift", "brightness", "contrast"), 0.0
    ),
}
"""The reported training: AdamW at 0.001 and cross-entropy, without augmentation."""
SEEDS = (0, 1, 2)
VARIANTS = {
    "gate replaces the features, no residual": (False, False),
    "gate replaces the features, residual": (False, True),
    "gate multiplies, no residual": (True, False),
    "gate multiplies, residual (medzoo)": (True, True),
}
"""Whether the gate multiplies, and whether blocks have their residual path."""
COLUMNS = (("train", "training"), ("eval", "training"), ("eval", "validation"), ("eval", "test"))
"""Mode of batch norm and split of each accuracy in the table."""
MODEL_ARGS: dict[str, Any] = {"widths": (24, 32, 48, 64), "head_width": 128, "fused_stages": 0}
HEADER = (
    "Variant",
    "Training ACC, batch statistics",
    "Training ACC, running statistics",
    "Validation ACC",
    "Test ACC",
    "Most frequent answer on test",
)


class ReplacingGate(nn.Module):
    """Squeeze-and-excitation in sequence: its output is the 1 x 1 gate instead of the features."""

    def __init__(self, gate: SqueezeExcite) -> None:
        super().__init__()
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 1, 1)."""
        pooled = x.mean((2, 3), keepdim=True)
        gate = self.gate
        return gate.gate(gate.conv_expand(gate.act1(gate.conv_reduce(pooled))))


def variant(data: medzoo.Dataset, multiplies: bool, residual: bool) -> nn.Module:
    """Build the network with or without its two faults.

    Args:
        data: Decides channels and classes.
        multiplies: Whether the gate multiplies the features.
        residual: Whether blocks have their residual path.
    """
    model = medzoo.create_model("efficientnet", dataset=data, **MODEL_ARGS)
    for module in model.modules():
        if isinstance(module, InvertedResidual):
            module.has_skip = module.has_skip and residual
            if not multiplies:
                module.se = ReplacingGate(module.se)
    return model


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Train every variant with every seed and return one record of all.

    Args:
        trial: The only trial.
        source: Source of the images.
    """
    data = source.load(DATASET)
    rows = []
    for name, (multiplies, residual) in VARIANTS.items():
        for seed in SEEDS:
            recipe = medzoo.recipe_for("efficientnet", DATASET).with_changes(seed=seed, **RECIPE)
            torch.manual_seed(seed)
            model = variant(data, multiplies, residual)
            history = medzoo.Trainer(model, data, recipe).fit().history
            scores = {mode: accuracies(model, data, mode) for mode in ("train", "eval")}
            answers = medzoo.evaluate(model, data.test, resamples=0).confusion
            row = {"variant": name, "seed": seed, "history": history, "scores": scores}
            rows.append(
                row | {"test_answers": [sum(column) for column in zip(*answers, strict=True)]}
            )
            print(f"{name}, seed {seed}: {scores}", flush=True)
    splits = {"training": data.train, "validation": data.val, "test": data.test}
    shares = {name: _largest_share(split.labels) for name, split in splits.items()}
    return {"data": data.title, "majority": shares, "epochs": RECIPE["epochs"], "rows": rows}


def _largest_share(labels: Tensor) -> float:
    """Return the share of the most frequent class."""
    return labels.flatten().bincount().max().item() / len(labels)


@torch.inference_mode()
def accuracies(model: nn.Module, data: medzoo.Dataset, mode: str) -> dict[str, float]:
    """Measure the accuracy on each split with batch norm in one of its two modes.

    Args:
        model: The model.
        data: Its data set.
        mode: ``"train"`` for batch statistics, ``"eval"`` for running statistics.
    """
    config = input_spec(model)
    scores = {}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    splits = {"training": data.train, "validation": data.val, "test": data.test}
    for name, split in splits.items():
        right = 0
        for rows in torch.randperm(len(split)).split(256):
            logits = model.train(mode == "train")(prepare_batch(split.images[rows], config))
            right += int((logits.argmax(1) == split.labels[rows]).sum())
        scores[name] = right / len(split)
    model.load_state_dict(state)  # training mode has updated the statistics of batch norm
    return scores


def plot() -> Figure:
    """Draw training loss and validation accuracy of the variants, averaged over the seeds."""
    values = RECORD.read()
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    colours = (ORANGE, YELLOW, SKY, GREEN)
    for axis, key, label in zip(
        panels, ("loss", "val_acc"), ("Training loss", "Validation accuracy"), strict=True
    ):
        for name, colour in zip(VARIANTS, colours, strict=True):
            curves = [
                [row[key] for row in entry["history"]]
                for entry in values["rows"]
                if entry["variant"] == name
            ]
            epochs = range(1, values["epochs"] + 1)
            axis.plot(epochs, torch.tensor(curves).mean(0), color=colour, label=name)
        axis.set(xlabel="Epoch", title=label)
        axis.spines[["top", "right"]].set_visible(False)
    panels[1].axhline(
        values["majority"]["validation"], color=GRAY, linestyle=":", label="majority class"
    )
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(f"Effect of the position of the gate ({values['data']})")
    return figure


def table() -> str:
    """Return the results as a Markdown table, averaged over the seeds."""
    record = RECORD.read()
    rows: list[Sequence[str]] = []
    for name in VARIANTS:
        runs = [row for row in record["rows"] if row["variant"] == name]
        accs = [[100 * row["scores"][mode][split] for row in runs] for mode, split in COLUMNS]
        commonest = [100 * max(row["test_answers"]) / sum(row["test_answers"]) for row in runs]
        rows.append([name, *(mean_and_range(values, 1, " %") for values in [*accs, commonest])])
    majority = [f"{100 * record['majority'][split]:.1f} %" for _, split in COLUMNS]
    rows.append(["always the most frequent class", *majority, "100 %"])
    return markdown_table(HEADER, rows)


GATE_ABLATION = Study(
    name="gate_ablation",
    description="what happens when the gate of squeeze-and-excitation replaces the features",
    results=RECORD,
    trials=lambda: [NamedTrial("gate_ablation")],
    run=run,
    table=table,
    summary=lambda record: f"{len(record['rows'])} trainings",
)
