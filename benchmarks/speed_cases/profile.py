"""Where the time goes: operators of training and inference, against what the machine can do."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity
from torch.profiler import profile as record

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.record import measurements, read
from benchmarks.timing.contest import quiet
from benchmarks.timing.machine import peak_gflops
from medzoo.inference import predict_logits
from medzoo.training import Callback, RunState

NETWORKS = ("simple_cnn", "advanced_cnn", "efficientnet", "attention_unet")
TRAINING, INFERENCE = "training", "inference"
BATCH = {TRAINING: 128, INFERENCE: 256}
_SHOWN = 5
_FLOAT = 4  # bytes
_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
_COPIED = 2**28  # bytes: more than any cache

Shapes = tuple[tuple[int, ...], ...]


def profile(setting: Setting) -> list[Measurement]:
    """Profile an epoch of training, and inference, of medzoo's four networks."""
    peak, bandwidth = peak_gflops(), bandwidth_gbs()
    tasks: Mapping[str, Callable[[Setting, str], list[FunctionEvent]]] = {
        TRAINING: _training,
        INFERENCE: _inference,
    }
    rows = []
    for task, run in tasks.items():
        for network in NETWORKS:
            events, noisy = quiet(partial(run, setting, network), setting.clock)
            row = _row(task, network, operators(events), peak, bandwidth)
            rows.append(replace(row, noisy=noisy))
    return rows


def bandwidth_gbs(repeats: int = 9) -> float:
    """Measure how fast memory is read and written at once, in GB/s.

    Args:
        repeats: Number of copies of a large tensor; the fastest counts.
    """
    source = torch.ones(_COPIED // _FLOAT)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        target.copy_(source)
        seconds.append(time.perf_counter() - start)
    return 2 * _COPIED / min(seconds) / 1e9


def operators(events: Iterable[FunctionEvent]) -> list[dict[str, Any]]:
    """Sum up the events of a profile by kind of operator, the slowest first.

    Args:
        events: Calls of operators, with shapes of their inputs and FLOPs.

    Returns:
        Of each kind: ``name``, ``seconds``, and either ``gflop`` or, of operators that do hardly
        any arithmetic, ``gb``: what they read and write at least, as far as the shapes of their
        inputs say.
    """
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in events:
        if event.self_cpu_time_total <= 0:
            continue
        shapes = _shapes(event)
        is_conv = "conv" in event.name and len(shapes) > 1
        kind = found[_kind(event.name, shapes) if is_conv else event.name.removeprefix("aten::")]
        kind["seconds"] += event.self_cpu_time_total / 1e6
        if is_conv and "backward" in event.name:
            kind["gflop"] += _backward_flop(shapes) / 1e9
        elif is_conv or event.name in _PRODUCTS:
            # A convolution's FLOPs are those of an outer event, and with autocast there are two.
            kind["gflop"] += 0 if _is_repeated(event) else (event.flops or 0) / 1e9
        else:
            sizes = [math.prod(shape) for shape in shapes if shape]
            moved = sum(sizes) + max(sizes, default=0)  # inputs, and an output like the largest
            kind["gb"] += _FLOAT * moved / 1e9
    rows: list[dict[str, Any]] = [{"name": name, **values} for name, values in found.items()]
    return sorted(rows, key=lambda row: -row["seconds"])


def _shapes(event: FunctionEvent) -> Shapes:
    shapes: Any = event.input_shapes  # also of lists of tensors; typed as one shape
    return tuple(tuple(shape) for shape in shapes if isinstance(shape, list | tuple))


def _is_repeated(event: FunctionEvent) -> bool:
    return event.cpu_parent is not None and event.cpu_parent.name == event.name


def _kind(key: str, shapes: Shapes) -> str:
    is_backward = "backward" in key
    weight = shapes[2 if is_backward else 1]
    if len(weight) != 4:
        return key.removeprefix("aten::")
    _, channels, side, _ = weight
    name = f"{side}x{side} depthwise" if channels == 1 and side > 1 else f"{side}x{side}"
    return f"{name} convolution{', backward' * is_backward}"


def _backward_flop(shapes: Shapes) -> float:
    """Return the FLOPs of both gradients, from the shapes of gradient, input and weight."""
    gradient, _, weight = shapes[:3]
    return 2 * 2 * math.prod(gradient) * math.prod(weight[1:])


def _training(setting: Setting, network: str) -> list[FunctionEvent]:
    """Profile the second epoch; the third is there because the last one is validated."""
    recorder = record(activities=[ProfilerActivity.CPU], record_shapes=True, with_flops=True)

    class Second(Callback):
        def on_epoch_end(self, state: RunState) -> None:
            if state.epoch == 1:
                recorder.start()
            elif state.epoch == 2:
                recorder.stop()

    recipe = medzoo.recipe_for("advanced_cnn", "dermamnist").with_changes(
        epochs=3, validate_every=3, patience=None, batch_size=BATCH[TRAINING]
    )
    model = medzoo.create_model(network, num_classes=7)
    data = setting.small(BATCH[TRAINING] * (1 if setting.quick else 4))
    medzoo.Trainer(model, data, recipe, progress=False, device="cpu", callbacks=[Second()]).fit()
    return list(recorder.events())


def _inference(setting: Setting, network: str) -> list[FunctionEvent]:
    model = medzoo.create_model(f"{network}.dermamnist", pretrained=True)
    batch = BATCH[INFERENCE]
    images = setting.data.val.head(batch if setting.quick else 3 * batch).images
    predict_logits(model, images[:batch], batch_size=batch, device="cpu")
    with record(activities=[ProfilerActivity.CPU], record_shapes=True, with_flops=True) as recorder:
        predict_logits(model, images, batch_size=batch, device="cpu")
    return list(recorder.events())


def _row(
    task: str, network: str, found: list[dict[str, Any]], peak: float, bandwidth: float
) -> Measurement:
    total = sum(row["seconds"] for row in found)
    share = 100 * sum(row.get("gflop", 0) for row in found) / total / peak
    return Measurement(
        f"profile of {task} {network}",
        "% of peak",
        {OURS: share},
        share,
        "%",
        note=f"batches of {BATCH[task]}, with the profiler's own time",
        details={
            "task": task,
            "network": network,
            "seconds": total,
            "peak_gflops": peak,
            "bandwidth_gbs": bandwidth,
            "operators": [row for row in found if row["seconds"] > 0.005 * total],
        },
    )


def profile_tables() -> str:
    """Return the slowest operators of each network, for each processor that was profiled."""
    parts = []
    for one in read():
        rows = measurements(one, "profile")
        if not rows:
            continue
        machine, details = one["machine"], rows[0].details
        peak, bandwidth = details["peak_gflops"], details["bandwidth_gbs"]
        parts.append(
            f"{machine['processor']}, {machine['threads']} threads: {peak:,.0f} GFLOP/s in a "
            f"float32 matrix product, {bandwidth:.1f} GB/s of memory; "
            f"{peak / bandwidth:.0f} FLOP per byte use both.\n"
        )
        header = ("Network", "Share of the peak", "Operators: share of the time (of the bound)")
        cells = [(_title(row), _share(row), _slowest(row)) for row in rows]
        parts.append(markdown_table(header, cells))
    return "\n".join(parts)


def _title(row: Measurement) -> str:
    return f"{row.details['network']}, {row.details['task']}"


def _share(row: Measurement) -> str:
    return "noisy" if row.noisy else f"{row.achieved:.0f} %"


def _slowest(row: Measurement) -> str:
    total = row.details["seconds"]
    return "<br>".join(
        f"{one['name']}: {one['seconds'] / total:.0%}{_bound(one, row.details)}"
        for one in row.details["operators"][:_SHOWN]
    )


def _bound(one: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    if one.get("gflop"):
        return f" ({one['gflop'] / one['seconds'] / details['peak_gflops']:.0%} of the peak)"
    if one.get("gb"):
        rate = one["gb"] / one["seconds"] / details["bandwidth_gbs"]
        return f" ({rate:.0%} of the bandwidth)"
    return ""
