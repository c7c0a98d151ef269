"""Inference on many images and on one: eager, compiled, and in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

import medzoo
from benchmarks.speed_cases.latency import CALLS, call_milliseconds
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.contest import Contestant, contest, faster
from benchmarks.timing.machine import mflop, peak_gflops
from medzoo.deployment import CompiledModel
from medzoo.device import has_fast_bfloat16
from medzoo.inference import predict_logits
from medzoo.models import Classifier
from medzoo.transforms import input_spec, prepare_batch

CHECKPOINT = "advanced_cnn.dermamnist"
EAGER = "its own eager float32 NCHW forward pass"
BATCH, BATCH_ON_GPU = 128, 1024


def inference(setting: Setting) -> list[Measurement]:
    """Measure evaluation, `predict` on many images, and the latency of one image."""
    model = medzoo.create_model(CHECKPOINT, pretrained=True)
    model.to(setting.device)
    models: dict[str, Classifier | CompiledModel] = {OURS: model}
    if find_spec("onnxruntime") and find_spec("onnxscript") and not setting.on_gpu:
        models["medzoo.compile, float32"] = medzoo.compile(model)
        models["medzoo.compile, int8"] = medzoo.compile(
            model, precision="int8", calibration=setting.data.train
        )
    evaluation = _evaluation(setting, models)
    rows = [evaluation, _many_images(setting, model), _latency(setting, models)]
    if setting.on_gpu:  # whose convolutions have units of their own, which this peak is not of
        return rows
    peak = peak_gflops(setting.device)
    gflop = mflop(model, torch.zeros(1, 3, 28, 28)) / 1e3
    share = 100 * evaluation.values[EAGER] * gflop / peak
    faster_or_not = "is" if has_fast_bfloat16(setting.device) else "is not"
    bound = (
        f"Arithmetic: the eager pass already reaches {share:.0f} % of what the processor does in a "
        f"float32 matrix product ({peak:.0f} GFLOP/s), and medzoo "
        f"{100 * evaluation.values[OURS] * gflop / peak:.0f} %. Only other arithmetic would be "
        f"much faster: bfloat16, which {faster_or_not} faster on this processor, or 8-bit "
        f"integers, for which it {_has(torch.cpu._is_vnni_supported())} instructions."
    )
    alone = (
        f"Arithmetic: an image takes {1e3 * gflop:.0f} MFLOP, which is {1e3 * gflop / peak:.1f} ms "
        f"at the peak of a float32 matrix product ({peak:.0f} GFLOP/s)."
    )
    return [
        replace(row, limit=limit) for row, limit in zip(rows, (bound, bound, alone), strict=True)
    ]


def _has(something: bool) -> str:
    return "has" if something else "lacks"


def _eager(setting: Setting, images: Tensor) -> Callable[[], Tensor]:
    """Return a hand-written forward pass: NCHW, float32, batches prepared in the same way."""
    model = medzoo.create_model(CHECKPOINT, pretrained=True)
    model.to(setting.device).to(memory_format=torch.contiguous_format)
    config = input_spec(model)

    @torch.inference_mode()
    def run() -> Tensor:
        batches = (
            prepare_batch(batch.to(setting.device), config).contiguous()
            for batch in images.split(_batch(setting))
        )
        return torch.cat([model(batch) for batch in batches]).cpu()

    return run


def _batch(setting: Setting) -> int:
    return BATCH_ON_GPU if setting.on_gpu else BATCH


def _evaluation(setting: Setting, models: Mapping[str, Classifier | CompiledModel]) -> Measurement:
    val = setting.data.val.head(3 * BATCH) if setting.quick else setting.data.val
    passes = 20 if setting.on_gpu else 1
    images = val.images.repeat(passes, 1, 1, 1)
    size = _batch(setting)

    def evaluate(model: Classifier | CompiledModel, images: Tensor = images) -> Tensor:
        return predict_logits(model, images, batch_size=size, device=setting.device)

    runs: dict[str, Callable[[], Tensor]] = {
        name: partial(evaluate, model) for name, model in models.items()
    }
    runs[EAGER] = _eager(setting, images)
    contestants = {name: Contestant(run, len(images)) for name, run in runs.items()}
    result = contest(contestants, faster(OURS, EAGER), setting.clock, seconds=setting.seconds)
    expected = _eager(setting, val.images)().argmax(1)
    agreement, points = {}, {}
    for name, model in models.items():
        chosen = evaluate(model, val.images).argmax(1)
        agreement[name] = float((chosen == expected).float().mean())
        points[name] = 100 * float(
            (chosen == val.labels).float().mean() - (expected == val.labels).float().mean()
        )
    return Measurement(
        f"evaluation, advanced_cnn, batches of {size}",
        "images/s",
        result.rates,
        target=2.5,
        note=f"the default, against {EAGER}",
        details={
            "images": len(val),
            "split": "validation",
            "agreement": agreement,
            "acc_points": points,
        },
        **result.row(faster(OURS, EAGER)),
    )


def _many_images(setting: Setting, model: Classifier) -> Measurement:
    count = 20 * BATCH if setting.on_gpu else 4 * BATCH
    train = setting.data.train.images
    images = train[torch.arange(count) % len(train)]
    separate = [image.permute(1, 2, 0).numpy() for image in images]
    predict = partial(
        medzoo.predict, model, separate, device=setting.device, batch_size=_batch(setting)
    )
    contestants = {
        OURS: Contestant(predict, count),
        EAGER: Contestant(_eager(setting, images), count),
    }
    result = contest(contestants, faster(OURS, EAGER), setting.clock, seconds=setting.seconds)
    return Measurement(
        f"predict on {count:,} images, advanced_cnn",
        "images/s",
        result.rates,
        target=2.5,
        note=f"separate arrays in, labelled probabilities out, against {EAGER}",
        **result.row(faster(OURS, EAGER)),
    )


def _latency(setting: Setting, models: Mapping[str, Classifier | CompiledModel]) -> Measurement:
    image = setting.data.val.images[0].permute(1, 2, 0).numpy()
    tails: dict[str, list[float]] = {}
    runs: dict[str, Callable[[], object]] = {
        name: partial(medzoo.predict, model, image, device=setting.device)
        for name, model in models.items()
    }
    runs["the eager forward pass alone"] = _eager(setting, setting.data.val.images[:1])

    def calls(name: str) -> None:
        times = call_milliseconds(runs[name], CALLS)
        tails.setdefault(name, []).append(float(np.quantile(times, 0.99)))

    def fastest(seconds: Mapping[str, Any]) -> Any:
        return 1e3 * np.minimum.reduce([seconds[name] for name in models])

    contestants = {name: Contestant(partial(calls, name), CALLS) for name in runs}
    result = contest(contestants, fastest, setting.clock, seconds=setting.seconds)
    best = min(models, key=result.seconds.__getitem__)
    percentile = {name: float(np.median(values)) for name, values in tails.items()}
    return Measurement(
        "latency of `predict` on one decoded image, advanced_cnn",
        "ms",
        {name: 1e3 * value for name, value in result.seconds.items()},
        kind="ms",
        target=3,
        direction="most",
        note=f"{best}; 99th percentile {percentile[best]:.2g} ms",
        details={"percentile_99": percentile, "calls_per_turn": CALLS},
        **result.row(fastest),
    )
