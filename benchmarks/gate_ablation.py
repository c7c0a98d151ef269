"""Why EfficientNet scored 25 %: a gate in place of the features, and its cure.

    python benchmarks/gate_ablation.py run --data-root <folder>   # trains, writes results and plot
    python benchmarks/gate_ablation.py table                      # docs' table

Trains one small MBConv network on a grayscale set in four variants. In the broken ones the output
of squeeze-and-excitation, a 1 x 1 map, *replaces* the features instead of scaling them (what
``nn.Sequential(..., pool, conv, act, conv, sigmoid, ...)`` does), with or without a residual path.
Only the training and validation splits are read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from source import Source
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from torch import Tensor, nn

import medzoo
from medzoo.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "gate_ablation.json"
PLOT = Path(__file__).parents[1] / "docs" / "images" / "gate_ablation.png"
DATASET = "pneumoniamnist"
EPOCHS = 8
SEEDS = (0, 1, 2)
# (the gate multiplies, blocks have their residual path)
VARIANTS = {
    "gate replaces the features, no residual": (False, False),
    "gate replaces the features, residual": (False, True),
    "gate multiplies, no residual": (True, False),
    "gate multiplies, residual (medzoo)": (True, True),
}
MODEL_ARGS: dict[str, Any] = {"widths": (24, 32, 48, 64), "head_width": 128, "fused_stages": 0}


class ReplacingGate(nn.Module):
    """Squeeze-and-excitation put in sequence: all that leaves it is the 1 x 1 gate."""

    def __init__(self, gate: SqueezeExcite) -> None:
        super().__init__()
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 1, 1)."""
        pooled = x.mean((2, 3), keepdim=True)
        gate = self.gate
        return gate.gate(gate.conv_expand(gate.act1(gate.conv_reduce(pooled))))


def variant(data: medzoo.Dataset, multiplies: bool, residual: bool) -> nn.Module:
    """Build the network with or without its two faults."""
    model = medzoo.create_model("efficientnet", dataset=data, **MODEL_ARGS)
    for module in model.modules():
        if isinstance(module, InvertedResidual):
            module.has_skip = module.has_skip and residual
            if not multiplies:
                module.se = ReplacingGate(module.se)
    return model


def run(data_root: str | None) -> None:
    """Train every variant with every seed and write what came out."""
    data = Source(data_root).load(DATASET)
    majority = max(data.val.labels.float().mean().item(), 1 - data.val.labels.float().mean().item())
    rows = []
    for name, (multiplies, residual) in VARIANTS.items():
        for seed in SEEDS:
            # Without the moving average, so that batch normalisation shows its own behaviour.
            recipe = medzoo.recipe_for("efficientnet", DATASET).with_changes(
                epochs=EPOCHS, seed=seed, ema_decay=0.0
            )
            torch.manual_seed(seed)
            model = variant(data, multiplies, residual)
            history = medzoo.Trainer(model, data, recipe).fit().history
            scores = {mode: accuracies(model, data, mode) for mode in ("train", "eval")}
            rows.append({"variant": name, "seed": seed, "history": history, "scores": scores})
            print(f"{name}, seed {seed}: {scores}", flush=True)
    values = {"data": data.title, "majority": majority, "epochs": EPOCHS, "rows": rows}
    write_atomically(RESULTS, (json.dumps(values, indent=1) + "\n").encode())
    plot(values)


@torch.inference_mode()
def accuracies(model: nn.Module, data: medzoo.Dataset, mode: str) -> dict[str, float]:
    """Measure training and validation accuracy with batch norm in one of its two modes."""
    from medzoo.transforms import input_spec, prepare_batch

    config = input_spec(model)
    scores = {}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, split in (("training", data.train), ("validation", data.val)):
        right = 0
        for rows in torch.randperm(len(split)).split(256):
            logits = model.train(mode == "train")(prepare_batch(split.images[rows], config))
            right += int((logits.argmax(1) == split.labels[rows]).sum())
        scores[name] = right / len(split)
    model.load_state_dict(state)  # batch norm in training mode moved its statistics
    return scores


def plot(values: dict[str, Any]) -> None:
    """Draw training loss and validation accuracy of the variants, averaged over the seeds."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    colours = ("#d55e00", "#e69f00", "#56b4e9", "#009e73")
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
    panels[1].axhline(values["majority"], color="gray", linestyle=":", label="majority class")
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(f"The gate's place decides ({values['data']})")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=120)


def table() -> str:
    """Return the results as a Markdown table, averaged over the seeds."""
    values = json.loads(RESULTS.read_text())
    lines = [
        "| Variant | Training ACC, batch statistics | Training ACC, running statistics "
        "| Validation ACC | Validation AUC |\n|---|---|---|---|---|"
    ]
    for name in VARIANTS:
        rows = [row for row in values["rows"] if row["variant"] == name]
        cells = [
            [row["scores"]["train"]["training"] for row in rows],
            [row["scores"]["eval"]["training"] for row in rows],
            [row["scores"]["eval"]["validation"] for row in rows],
        ]
        aucs = [max(epoch["val_auc"] for epoch in row["history"]) for row in rows]
        accs = " | ".join(spread(cell, 100, 1, " %") for cell in cells)
        lines.append(f"| {name} | {accs} | {spread(aucs, 1, 3)} |")
    lines.append(f"| always the majority class | | | {100 * values['majority']:.1f} % | 0.500 |")
    return "\n".join(lines)


def spread(values: list[float], scale: float, digits: int, unit: str = "") -> str:
    """Format the mean of several seeds, and their range."""
    scaled = [scale * value for value in values]
    mean = sum(scaled) / len(scaled)
    return f"{mean:.{digits}f}{unit} ({min(scaled):.{digits}f} to {max(scaled):.{digits}f})"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments.data_root)
    else:
        print(table())


if __name__ == "__main__":
    main()
