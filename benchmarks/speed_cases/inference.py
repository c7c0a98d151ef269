"""Inference on many images and on one: eager, compiled, and in plain PyTorch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

import torch
from torch import Tensor

import medzoo
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.timing import in_turn, mflop, peak_gflops, per_second, ratio
from medzoo.deployment import CompiledModel
from medzoo.device import has_fast_bfloat16
from medzoo.inference import predict_logits
from medzoo.models import Classifier
from medzoo.transforms import input_spec, prepare_batch

CHECKPOINT = "advanced_cnn.dermamnist"
EAGER = "its own eager float32 NCHW forward pass"
BATCH = 128


def inference(setting: Setting) -> list[Measurement]:
    """Measure evaluation, `predict` on many images, and the latency of one image."""
    model = medzoo.create_model(CHECKPOINT, pretrained=True)
    models: dict[str, Classifier | CompiledModel] = {OURS: model}
    if find_spec("onnxruntime") and find_spec("onnxscript"):
        models["medzoo.compile, float32"] = medzoo.compile(model)
        models["medzoo.compile, int8"] = medzoo.compile(
            model, precision="int8", calibration=setting.data.train
        )
    peak = peak_gflops()
    gflop = mflop(model, torch.zeros(1, 3, 28, 28)) / 1e3
    evaluation = _evaluation(setting, models)
    share = 100 * evaluation.values[EAGER] * gflop / peak
    bfloat16 = _has(has_fast_bfloat16(torch.device("cpu")))
    bound = (
        f"Arithmetic: the eager pass already reaches {share:.0f} % of what the processor does in a "
        f"float32 matrix product ({peak:.0f} GFLOP/s), and medzoo "
        f"{100 * evaluation.values[OURS] * gflop / peak:.0f} %. Only other arithmetic would be "
        f"much faster: bfloat16, which this processor {bfloat16}, or 8-bit integers, for which it "
        f"{_has(torch.cpu._is_vnni_supported())} instructions."
    )
    alone = (
        f"Arithmetic: an image takes {1e3 * gflop:.0f} MFLOP, which is {1e3 * gflop / peak:.1f} ms "
        f"at the peak of a float32 matrix product ({peak:.0f} GFLOP/s)."
    )
    return [
        replace(evaluation, limit=bound),
        replace(_many_images(setting, model), limit=bound),
        replace(_latency(setting, models), limit=alone),
    ]


def _has(something: bool) -> str:
    return "has" if something else "lacks"


def _eager(images: Tensor) -> Callable[[], Tensor]:
    """Return a hand-written forward pass: NCHW, float32, batches prepared in the same way."""
    model = medzoo.create_model(CHECKPOINT, pretrained=True)
    model.to(memory_format=torch.contiguous_format)
    config = input_spec(model)

    @torch.inference_mode()
    def run() -> Tensor:
        batches = (prepare_batch(b, config).contiguous() for b in images.split(BATCH))
        return torch.cat([model(batch) for batch in batches])

    return run


def _evaluation(setting: Setting, models: dict[str, Classifier | CompiledModel]) -> Measurement:
    val = setting.data.val.head(3 * BATCH) if setting.quick else setting.data.val
    eager = _eager(val.images)

    def evaluator(model: Classifier | CompiledModel) -> Callable[[], Tensor]:
        return lambda: predict_logits(model, val.images, batch_size=BATCH)

    contestants = {name: evaluator(model) for name, model in models.items()}
    rounds = 2 if setting.quick else 3
    rates = per_second(len(val), in_turn({**contestants, EAGER: eager}, rounds))
    expected = eager().argmax(1)
    agreement, points = {}, {}
    for name, run in contestants.items():
        chosen = run().argmax(1)
        agreement[name] = float((chosen == expected).float().mean())
        points[name] = 100 * float(
            (chosen == val.labels).float().mean() - (expected == val.labels).float().mean()
        )
    return Measurement(
        "evaluation, advanced_cnn",
        "images/s",
        rates,
        ratio(rates, EAGER),
        target=2.5,
        note=f"the default, against {EAGER}",
        details={
            "images": len(val),
            "split": "validation",
            "agreement": agreement,
            "acc_points": points,
        },
    )


def _many_images(setting: Setting, model: Classifier) -> Measurement:
    count = 512 if setting.quick else 10_000
    train = setting.data.train.images
    images = train[torch.arange(count) % len(train)]
    separate = [image.permute(1, 2, 0).numpy() for image in images]
    contestants = {OURS: lambda: medzoo.predict(model, separate), EAGER: _eager(images)}
    seconds = {}
    for name, run in contestants.items():  # once each, because a run takes a minute
        start = time.perf_counter()
        run()
        seconds[name] = time.perf_counter() - start
    rates = per_second(count, seconds)
    return Measurement(
        f"predict on {count:,} images, advanced_cnn",
        "images/s",
        rates,
        ratio(rates, EAGER),
        target=2.5,
        note=f"separate arrays in, labelled probabilities out, against {EAGER}",
    )


def _latency(setting: Setting, models: dict[str, Classifier | CompiledModel]) -> Measurement:
    image = setting.data.val.images[0].permute(1, 2, 0).numpy()
    calls = 60 if setting.quick else 300
    times = {
        name: _milliseconds(lambda model=model: medzoo.predict(model, image), calls)  # type: ignore[misc]
        for name, model in models.items()
    }
    times["the eager forward pass alone"] = _milliseconds(
        _eager(setting.data.val.images[:1]), calls
    )
    medians = {name: statistics.median(values) for name, values in times.items()}
    tails = {name: statistics.quantiles(values, n=100)[-1] for name, values in times.items()}
    fastest = min(models, key=medians.__getitem__)
    return Measurement(
        "latency of `predict` on one decoded image, advanced_cnn",
        "ms",
        medians,
        medians[fastest],
        "ms",
        target=3,
        direction="most",
        note=f"median of {fastest}; 99th percentile {tails[fastest]:.2g} ms",
        details={"percentile_99": tails, "calls": calls},
    )


def _milliseconds(run: Callable[[], object], calls: int) -> list[float]:
    """Time each call, after a tenth as many calls to warm up."""
    times = []
    for _ in range(calls // 10):
        run()
    for _ in range(calls):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return times
