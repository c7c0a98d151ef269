"""Whether a training step is faster in bfloat16 than in float32, and which one medzoo chooses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import NamedTrial, Study
from benchmarks.timing.clock import Clock
from benchmarks.timing.contest import Contestant, contest, faster
from benchmarks.timing.machine import instructions, processor
from medzoo.device import Precision, autocast, has_fast_bfloat16, resolve_device

RECORDS = ResultsFile(RESULTS / "precision.json")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
BATCH = 128
SECONDS = 60.0


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Measure both precisions on this machine and return the record.

    Args:
        trial: Named after the processor.
        source: Not used: the images are random.
    """
    device = resolve_device()
    images = torch.randn(BATCH, 3, 28, 28, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(7, (BATCH,), device=device)
    speedups = {}
    for name in medzoo.list_models():
        model = medzoo.create_model(name, num_classes=7).to(device).train()
        step = _step(model.to(memory_format=torch.channels_last), images, labels)
        turns: dict[str, Contestant] = {
            one: Contestant(partial(step, one), BATCH) for one in PRECISIONS
        }
        speedup = faster("bfloat16", "float32")
        found = contest(turns, speedup, Clock(device), seconds=SECONDS)
        speedups[name] = vars(found.estimate(speedup))
    return {
        "instructions": instructions(device),
        "auto": "bfloat16" if has_fast_bfloat16(device) else "float32",
        "speedups": speedups,
        "torch": torch.__version__,
    }


def _step(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[Precision], None]:
    """Return the forward and backward pass of a batch, at a precision."""

    def step(precision: Precision) -> None:
        with autocast(images.device, precision):
            logits = model(images)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def table() -> str:
    """Return how many times faster bfloat16 is, by processor and network, as a Markdown table."""
    names, records = medzoo.list_models(), RECORDS.read()
    rows = [
        (
            name,
            record["instructions"],
            *(_speedup(record["speedups"].get(one)) for one in names),
            f"`{record['auto']}`",
        )
        for name, record in records.items()
    ]
    header = ("Processor", "Instructions", *(f"`{name}`" for name in names), "`auto`")
    return markdown_table(header, rows)


def _speedup(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    low, high = found["interval"]
    return f"{found['achieved']:.2f}x ({low:.2f} to {high:.2f}){', noisy' * found['noisy']}"


PRECISION = Study(
    name="precision",
    description="whether bfloat16 is faster than float32 on this machine",
    results=RECORDS,
    trials=lambda: [NamedTrial(processor(resolve_device()))],
    run=run,
    table=table,
    summary=lambda record: f"{record['speedups']}, auto: {record['auto']}",
)
