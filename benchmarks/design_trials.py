"""Try out architecture variants: validation scores after a short training, and speed.

    python benchmarks/design_trials.py train --data-root <folder>    # scores, one variant at a time
    python benchmarks/design_trials.py speed                         # images/s, on an idle machine
    python benchmarks/design_trials.py table                         # docs/design-trials.md's table

Both measurements go into ``benchmarks/results/design_trials.json``; only the validation split is
read.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from figures import RESULTS, Figures
from torch.utils.flop_counter import FlopCounterMode

import medzoo

FIGURES = Figures(RESULTS / "design_trials.json")
DATASET = "dermamnist"
EPOCHS = 5
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "advanced_cnn": ("advanced_cnn", {}),
    "advanced_cnn, no gate": ("advanced_cnn", {"attention": ""}),
    "advanced_cnn, last stage at 4 x 4": ("advanced_cnn", {"strides": (1, 2, 1, 2)}),
    "efficientnet": ("efficientnet", {}),
    "efficientnet, SiLU": ("efficientnet", {"act_layer": "silu"}),
    "efficientnet, MBConv in all stages": (
        "efficientnet",
        {"fused_stages": 0, "depths": (1, 2, 3, 5)},
    ),
    "simple_cnn": ("simple_cnn", {}),
    "attention_unet": ("attention_unet", {}),
}


def train(data_root: str | None) -> None:
    """Train each variant that has no scores yet for a few epochs by its bundled recipe."""
    data = medzoo.load_dataset(DATASET, root=data_root)
    results = FIGURES.read()
    for name, (architecture, model_args) in VARIANTS.items():
        row = results.setdefault(name, {})
        if row.get("epochs") == EPOCHS:
            continue
        recipe = medzoo.recipe_for(architecture, DATASET).with_changes(epochs=EPOCHS)
        torch.manual_seed(recipe.seed)
        model = medzoo.create_model(
            architecture, dataset=data, **{**recipe.model_args, **model_args}
        )
        run = medzoo.Trainer(model, data, recipe).fit()
        row |= {"epochs": EPOCHS, "val_auc": run.val_auc, "val_acc": run.val_acc}
        row |= {"data": data.title, "seed": recipe.seed}
        FIGURES.keep(name, results[name])
        print(f"{name}: validation AUC {run.val_auc:.4f}, ACC {run.val_acc:.4f}", flush=True)


def speed(batch_size: int = 128, repeats: int = 7) -> None:
    """Measure each variant's training and evaluation rate; the machine should be idle."""
    results = FIGURES.read()
    for name, (architecture, model_args) in VARIANTS.items():
        model = medzoo.create_model(architecture, num_classes=7, **model_args)
        model = model.to(memory_format=torch.channels_last).eval()
        images = torch.randn(batch_size, 3, 28, 28).to(memory_format=torch.channels_last)
        labels = torch.randint(7, (batch_size,))
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(images[:1])
        evaluation, training = [], []
        for _ in range(repeats):
            start = time.perf_counter()
            with torch.inference_mode():
                model.eval()(images)
            middle = time.perf_counter()
            torch.nn.functional.cross_entropy(model.train()(images), labels).backward()
            evaluation.append(batch_size / (middle - start))
            training.append(batch_size / (time.perf_counter() - middle))
        results.setdefault(name, {}).update(
            parameters=sum(p.numel() for p in model.parameters()),
            mflop=counter.get_total_flops() / 1e6,
            training_images_per_second=statistics.median(training),
            evaluation_images_per_second=statistics.median(evaluation),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
        )
        FIGURES.keep(name, results[name])
        print(f"{name}: {statistics.median(training):.0f} images/s", flush=True)


def table() -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| Variant | Parameters | MFLOP an image | Training images/s | Evaluation images/s "
        "| Validation AUC | Validation ACC |\n|---|---|---|---|---|---|---|"
    ]
    measured = FIGURES.read()
    for name in filter(measured.__contains__, VARIANTS):
        row = measured[name]
        lines.append(
            f"| {name} | {row['parameters'] / 1e6:.2f} M | {row['mflop']:.0f} "
            f"| {row['training_images_per_second']:.0f} "
            f"| {row['evaluation_images_per_second']:.0f} "
            f"| {row['val_auc']:.4f} | {row['val_acc']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("train", "speed", "table"))
    parser.add_argument("--data-root", help="folder of the MedMNIST files")
    arguments = parser.parse_args()
    if arguments.command == "train":
        train(arguments.data_root)
    elif arguments.command == "speed":
        speed()
    else:
        print(table())


if __name__ == "__main__":
    main()
