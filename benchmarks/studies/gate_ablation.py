"""Why EfficientNet scored 25 %: a gate that replaces the features, and its fix.

Trains one small MBConv network on a grayscale data set in four variants. In the broken ones the
output of squeeze-and-excitation, a 1 x 1 map, *replaces* the features instead of scaling them (as
in ``nn.Sequential(..., pool, conv, act, conv, sigmoid, ...)``), with or without a residual path.
Only the training and validation splits are read.
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
DATASET = "pneumoniamnist"
EPOCHS = 8
SEEDS = (0, 1, 2)
VARIANTS = {
    "gate replaces the features, no residual": (False, False),
    "gate replaces the features, residual": (False, True),
    "gate multiplies, no residual": (True, False),
    "gate multiplies, residual (medzoo)": (True, True),
}
"""Whether the gate multiplies, and whether blocks have their residual path."""
MODEL_ARGS: dict[str, Any] = {"widths": (24, 32, 48, 64), "head_width": 128, "fused_stages": 0}
HEADER = (
    "Variant",
    "Training ACC, batch statistics",
    "Training ACC, running statistics",
    "Validation ACC",
    "Validation AUC",
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
    positive = data.val.labels.float().mean().item()
    rows = []
    for name, (multiplies, residual) in VARIANTS.items():
        for seed in SEEDS:
            # Without the moving average, to show the behaviour of batch norm itself.
            recipe = medzoo.recipe_for("efficientnet", DATASET).with_changes(
                epochs=EPOCHS, seed=seed, ema_decay=0.0
            )
            torch.manual_seed(seed)
            model = variant(data, multiplies, residual)
            history = medzoo.Trainer(model, data, recipe).fit().history
            scores = {mode: accuracies(model, data, mode) for mode in ("train", "eval")}
            rows.append({"variant": name, "seed": seed, "history": history, "scores": scores})
            print(f"{name}, seed {seed}: {scores}", flush=True)
    majority = max(positive, 1 - positive)
    return {"data": data.title, "majority": majority, "epochs": EPOCHS, "rows": rows}


@torch.inference_mode()
def accuracies(model: nn.Module, data: medzoo.Dataset, mode: str) -> dict[str, float]:
    """Measure training and validation accuracy with batch norm in one of its two modes.

    Args:
        model: The model.
        data: Its data set.
        mode: ``"train"`` for batch statistics, ``"eval"`` for running statistics.
    """
    config = input_spec(model)
    scores = {}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, split in (("training", data.train), ("validation", data.val)):
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
    panels[1].axhline(values["majority"], color=GRAY, linestyle=":", label="majority class")
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
        accs = [
            [100 * row["scores"][mode][split] for row in runs]
            for mode, split in (("train", "training"), ("eval", "training"), ("eval", "validation"))
        ]
        aucs = [max(epoch["val_auc"] for epoch in row["history"]) for row in runs]
        cells = [mean_and_range(values, 1, " %") for values in accs]
        rows.append([name, *cells, mean_and_range(aucs, 3)])
    majority = f"{100 * record['majority']:.1f} %"
    rows.append(["always predicting the majority class", "", "", majority, "0.500"])
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
