"""Whether bfloat16 is faster than float32 on this machine, and which one medzoo chooses."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import SingleResult
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import NamedTrial, Study
from medzoo.device import Precision, autocast, has_fast_bfloat16, resolve_device

RECORD = SingleResult(RESULTS / "precision.json")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
BATCH, REPEATS = 128, 5


def images_per_second(model: torch.nn.Module, precision: Precision) -> float:
    """Return the median training rate at a precision.

    Args:
        model: The model.
        precision: The precision of its forward pass.
    """
    device = resolve_device()
    model = model.to(device).train()
    images = torch.randn(BATCH, 3, 28, 28, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(7, (BATCH,), device=device)
    rates = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        with autocast(device, precision):
            logits = model(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        rates.append(BATCH / (time.perf_counter() - start))
    return statistics.median(rates[1:])


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Measure both precisions and return the record.

    Args:
        trial: The only trial.
        source: Not used: the images are random.
    """
    model = medzoo.create_model("advanced_cnn", num_classes=7)
    model = model.to(memory_format=torch.channels_last)
    rates = {precision: images_per_second(model, precision) for precision in PRECISIONS}
    chosen = "bfloat16" if has_fast_bfloat16(resolve_device()) else "float32"
    return {"images_per_second": rates, "auto": chosen, "torch": torch.__version__}


def table() -> str:
    """Return the rates as a Markdown table."""
    record = RECORD.read()
    rows = [
        (precision, f"{rate:.0f}", "yes" if precision == record["auto"] else "no")
        for precision, rate in record["images_per_second"].items()
    ]
    return markdown_table(("Precision", "Training images/s", "Chosen by `auto`"), rows)


PRECISION = Study(
    name="precision",
    description="whether bfloat16 is faster than float32 on this machine",
    results=RECORD,
    trials=lambda: [NamedTrial("precision")],
    run=run,
    table=table,
    summary=lambda record: f"{record['images_per_second']}, auto: {record['auto']}",
)
