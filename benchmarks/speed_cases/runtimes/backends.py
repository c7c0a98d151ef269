"""The four networks in several runtimes, in float32 and in 8-bit integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

import medzoo
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.runtimes.folded import fold
from benchmarks.timing.contest import Contest, Contestant, contest, faster
from medzoo.deployment import CompiledModel, export_onnx
from medzoo.deployment.description import Description
from medzoo.deployment.quantise import quantise
from medzoo.transforms import input_spec, prepare_batch

CHECKPOINTS = tuple(
    f"{name}.dermamnist"
    for name in ("simple_cnn", "advanced_cnn", "efficientnet", "attention_unet")
)
BATCHES = (1, 256)
SECONDS = 90
"""How long the contest of one network and batch may take."""
CALIBRATION = 512
FOLDED = "batch norms folded"
ONNX, ONNX_8 = "ONNX Runtime, float32", "ONNX Runtime, int8"
OPENVINO, OPENVINO_8 = "OpenVINO, float32", "OpenVINO, int8"
WORTH = 1.3
"""Times as fast as what medzoo has otherwise, for a runtime to become a part of it."""
_IMAGES = {1: 50, 256: 256}
"""Images of a turn, by batch."""

Run = Callable[[Tensor], Any]


def backends(setting: Setting) -> list[Measurement]:
    """Run prepared images through PyTorch, and through both backends of `medzoo.compile`."""
    rows = []
    for checkpoint in CHECKPOINTS[1:3] if setting.quick else CHECKPOINTS:
        runs = runtimes(setting, checkpoint)
        for batch in BATCHES:
            rows += _rows(setting, checkpoint.partition(".")[0], runs, batch)
    return rows


def runtimes(setting: Setting, checkpoint: str) -> dict[str, Run]:
    """Return functions from prepared images (N, C, H, W) to logits, by runtime.

    Args:
        setting: Where the data set is, which calibrates the integers.
        checkpoint: Name of the published weights.
    """
    model = medzoo.create_model(checkpoint, pretrained=True).eval()
    images = setting.data.train.head(CALIBRATION).images
    content = export_onnx(model, with_ood_scores=False)  # logits only, as from the model
    integers = quantise(content, Description(model.spec), images)
    return {
        OURS: model,
        FOLDED: fold(model),
        ONNX: CompiledModel(content),
        ONNX_8: CompiledModel(integers),
        OPENVINO: CompiledModel(content, backend="openvino"),
        OPENVINO_8: CompiledModel(integers, backend="openvino"),
    }


def _rows(setting: Setting, network: str, runs: Mapping[str, Run], batch: int) -> list[Measurement]:
    val = setting.data.val
    images = prepare_batch(val.images[: max(batch, 64)], input_spec(runs[OURS]))
    expected = _logits(runs[OURS], images)
    found = {name: _logits(run, images) for name, run in runs.items()}
    count = _IMAGES[batch]
    contestants = {
        name: Contestant(partial(_turn, run, images[:batch], count // batch), count)
        for name, run in runs.items()
    }
    against = faster(OPENVINO, OURS, ONNX)
    seconds = min(SECONDS, setting.seconds)
    result = contest(contestants, against, setting.clock, seconds=seconds)
    details = {
        "largest_difference": {
            name: float((logits - expected).abs().max()) for name, logits in found.items()
        },
        "agreement": {
            name: float((logits.argmax(1) == expected.argmax(1)).float().mean())
            for name, logits in found.items()
        },
    }
    title = f"inference of {network}, batches of {batch}"
    return [
        _row(title, result, (OURS, FOLDED, ONNX, OPENVINO), (FOLDED, OURS), details),
        _row(title, result, (OURS, FOLDED, ONNX, OPENVINO), (OPENVINO, OURS, ONNX), {}),
        _row(title, result, (OURS, ONNX, ONNX_8, OPENVINO_8), (OPENVINO_8, ONNX_8, ONNX), {}),
    ]


def _row(
    title: str,
    result: Contest,
    shown: tuple[str, ...],
    compared: tuple[str, ...],
    details: dict[str, Any],
) -> Measurement:
    new, *known = compared
    return Measurement(
        f"{title}: {new}",
        "images/s",
        {name: result.rates[name] for name in shown},
        note=f"against {' or '.join(known)}, whichever is faster; worth having from {WORTH}x",
        details=details,
        **result.row(faster(*compared)),
    )


@torch.inference_mode()
def _logits(run: Run, images: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(run(images)))


@torch.inference_mode()
def _turn(run: Run, images: Tensor, times: int) -> None:
    for _ in range(times):
        run(images)
