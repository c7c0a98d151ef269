"""Measure whether bfloat16 is faster than float32 on this machine, and what medzoo would choose.

python benchmarks/precision.py
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import torch

import medzoo
from medzoo.device import Precision, autocast, has_fast_bfloat16, resolve_device

RESULTS = Path(__file__).parent / "results" / "precision.json"
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
BATCH, REPEATS = 128, 5


def images_per_second(model: torch.nn.Module, precision: Precision) -> float:
    """Return the median training rate at one precision."""
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


def main() -> None:
    """Measure, print and write the results."""
    model = medzoo.create_model("advanced_cnn", num_classes=7)
    model = model.to(memory_format=torch.channels_last)
    rates = {precision: images_per_second(model, precision) for precision in PRECISIONS}
    for precision, rate in rates.items():
        print(f"{precision:9} {rate:6.0f} training images/s")
    chosen = "bfloat16" if has_fast_bfloat16(resolve_device()) else "float32"
    print(f"precision='auto' chooses {chosen}")
    values = {"images_per_second": rates, "auto": chosen, "torch": torch.__version__}
    RESULTS.write_text(json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    main()
