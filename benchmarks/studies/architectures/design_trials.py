"""Design trials: variants of the architectures after a short training, and their speed.

Scores and speed are two studies on the same variants, because speed needs an idle machine. They
share the records in ``results/design_trials.json``. Only the validation split is read.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import medzoo
from benchmarks.reporting.format import markdown_table, millions
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.source import Source
from benchmarks.reproduction.uncalibrated import uncalibrated
from benchmarks.studies.study import Study

RECORDS = ResultsFile(RESULTS / "design_trials.json")
TRIALS = Path(__file__).parent.parent / "trials" / "design_trials.toml"
DATASET = "dermamnist"
EPOCHS = 5
BATCH, REPEATS = 128, 7
HEADER = (
    "Variant",
    "Parameters",
    "MFLOP per image",
    "Training images/s",
    "Evaluation images/s",
    "Validation AUC",
    "Validation ACC",
)


@dataclass(frozen=True)
class Variant:
    """A variant of an architecture.

    Attributes:
        key: Its name.
        architecture: Name of the architecture.
        model_args: Arguments that differ from the defaults.
    """

    key: str
    architecture: str
    model_args: Mapping[str, Any] = field(default_factory=dict)


def variants() -> list[Variant]:
    """Return all variants, in the order of the table."""
    return [Variant(name, **values) for name, values in read_toml(TRIALS).items()]


def score(variant: Variant, source: Source) -> dict[str, Any]:
    """Train a variant for a few epochs with its bundled recipe; return its record with scores.

    Args:
        variant: The variant.
        source: Source of the images.
    """
    data = source.load(DATASET)
    recipe = medzoo.recipe_for(variant.architecture, DATASET).with_changes(epochs=EPOCHS)
    torch.manual_seed(recipe.seed)
    model = medzoo.create_model(
        variant.architecture, dataset=data, **{**recipe.model_args, **variant.model_args}
    )
    run = uncalibrated(medzoo.Trainer(model, data, recipe).fit())
    return (RECORDS.find(variant.key) or {}) | {
        "epochs": EPOCHS,
        "val_auc": run.val_auc,
        "val_acc": run.val_acc,
        "data": data.title,
        "seed": recipe.seed,
    }


def measure_speed(variant: Variant, source: Source) -> dict[str, Any]:
    """Measure training and evaluation speed of a variant; return its record with them.

    Args:
        variant: The variant.
        source: Not used: the images are random.
    """
    model = medzoo.create_model(variant.architecture, num_classes=7, **variant.model_args)
    model = model.to(memory_format=torch.channels_last).eval()
    images = torch.randn(BATCH, 3, 28, 28).to(memory_format=torch.channels_last)
    labels = torch.randint(7, (BATCH,))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(images[:1])
    evaluation, training = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        with torch.inference_mode():
            model.eval()(images)
        middle = time.perf_counter()
        torch.nn.functional.cross_entropy(model.train()(images), labels).backward()
        evaluation.append(BATCH / (middle - start))
        training.append(BATCH / (time.perf_counter() - middle))
    return (RECORDS.find(variant.key) or {}) | {
        "parameters": sum(p.numel() for p in model.parameters()),
        "mflop": counter.get_total_flops() / 1e6,
        "training_images_per_second": statistics.median(training),
        "evaluation_images_per_second": statistics.median(evaluation),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def table() -> str:
    """Return scores and speed as a Markdown table."""
    records = RECORDS.read()
    rows = [
        (
            variant.key,
            millions(record["parameters"]),
            f"{record['mflop']:.0f}",
            f"{record['training_images_per_second']:.0f}",
            f"{record['evaluation_images_per_second']:.0f}",
            f"{record['val_auc']:.4f}",
            f"{record['val_acc']:.4f}",
        )
        for variant in variants()
        if (record := records.get(variant.key))
    ]
    return markdown_table(HEADER, rows)


def _has_scores(record: Mapping[str, Any], variant: Variant, source: Source) -> bool:
    return record.get("epochs") == EPOCHS


def _has_speed(record: Mapping[str, Any], variant: Variant, source: Source) -> bool:
    return "mflop" in record


DESIGN_SCORES = Study(
    name="design_trials",
    description="validation scores of architecture variants after a short training",
    results=RECORDS,
    trials=variants,
    run=score,
    table=table,
    summary=lambda record: f"validation AUC {record['val_auc']:.4f}, ACC {record['val_acc']:.4f}",
    is_current=_has_scores,
)
DESIGN_SPEED = Study(
    name="design_speed",
    description="speed of architecture variants; needs an idle machine",
    results=RECORDS,
    trials=variants,
    run=measure_speed,
    table=table,
    summary=lambda record: f"{record['training_images_per_second']:.0f} training images/s",
    is_current=_has_speed,
)
