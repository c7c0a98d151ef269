"""`compile`: make a model run faster on CPUs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import get_args

from torch import Tensor, nn

from medzoo.datasets import Split
from medzoo.deployment.cache import cache_path, cached
from medzoo.deployment.description import CompiledPrecision, Description
from medzoo.deployment.images import CALIBRATION_IMAGES, evenly_spaced, raw_images
from medzoo.deployment.onnx_graph import export_onnx, resolve
from medzoo.deployment.quantise import quantise, without_ood_scores
from medzoo.deployment.session import (
    Backend,
    CompiledModel,
    check_backend,
    number_of_threads,
)
from medzoo.deployment.verify import check_agreement
from medzoo.errors import unknown_name
from medzoo.inference.output_check import example_images
from medzoo.lazy import import_optional
from medzoo.spec import ModelSpec


def compile(
    model: nn.Module,
    *,
    precision: CompiledPrecision = "float32",
    calibration: Split | Tensor | None = None,
    threads: int | None = None,
    backend: Backend = "onnxruntime",
    cache: bool = True,
    spec: ModelSpec | None = None,
) -> CompiledModel:
    """Make a model run faster on CPUs, by ONNX Runtime or OpenVINO.

    ``"float32"`` gives the same logits up to rounding, and is faster for single images. ``"int8"``
    computes in 8-bit integers, which is also faster for batches on processors with the necessary
    instructions (VNNI), and changes a few predictions: evaluate the result before you rely on it.
    It does not mark unfamiliar images, which ``"float32"`` does.
    Needs ``pip install 'medzoo[onnx]'``, and for OpenVINO ``'medzoo[openvino]'``, which is faster
    for large batches of 8-bit models.

    Args:
        model: A medzoo or timm classifier, on the CPU; it is not changed. The compiled model does
            not follow later changes of its weights.
        precision: ``"float32"`` or ``"int8"``.
        calibration: For ``"int8"``: representative images, which set the ranges of the integers; a
            split, e.g. ``data.train``, or uint8 (N, C, H, W). 512 of them are used.
        threads: Threads that one call may use; by default as many as PyTorch uses.
        backend: What runs it: ``"onnxruntime"`` or ``"openvino"``. Both run the same graph.
        cache: Keep the result in the cache folder, so that the next call is fast.
        spec: What the model is; needed only for one that does not say it itself.

    Returns:
        A callable from normalised images (N, C, H, W) to logits (N, K), which `medzoo.evaluate`
        and `medzoo.predict` take like any model.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` or ``medzoo[openvino]`` is missing.
        TypeError: If an argument has the wrong type, or the model does not say what it is.
        ValueError: If an argument does not fit, or the model cannot be exported.
    """
    if precision not in get_args(CompiledPrecision):
        raise unknown_name("precision", precision, get_args(CompiledPrecision))
    model, description = resolve(model, spec)
    images = _calibration_images(calibration, precision, description)
    if precision == "int8":
        description = without_ood_scores(description)
    threads = number_of_threads(threads)
    check_backend(backend)
    import_optional("onnxruntime")
    content, compiled = _float32(model, description, threads, cache)
    if images is None:
        if backend != "onnxruntime":  # by which the file was checked
            compiled = CompiledModel(content, threads=threads, backend=backend)
            check_agreement(model, compiled, example_images(description.spec.input))
        return compiled
    quantised = replace(description, precision="int8")
    content = cached(
        cache_path(model, quantised, images, content) if cache else None,
        lambda: quantise(content, description, images),
    )
    return CompiledModel(content, threads=threads, backend=backend)


def _float32(
    model: nn.Module, description: Description, threads: int, cache: bool
) -> tuple[bytes, CompiledModel]:
    """Return the graph in float32, and what runs it; it computes what the model does."""
    examples = example_images(description.spec.input)

    def exported() -> bytes:
        content = export_onnx(model, with_ood_scores=description.has_ood_scores)
        check_agreement(model, CompiledModel(content), examples)
        return content

    if cache and (slot := cache_path(model, description)) is not None:
        content = cached(slot, exported)
        compiled = CompiledModel(content, threads=threads)
        # Not everything that a model computes by can be hashed, e.g. attributes of its layers.
        with suppress(ValueError):
            check_agreement(model, compiled, examples)
            return content, compiled
    content = exported()
    return content, CompiledModel(content, threads=threads)


def _calibration_images(
    calibration: Split | Tensor | None, precision: CompiledPrecision, description: Description
) -> Tensor | None:
    if precision != "int8":
        if calibration is not None:
            raise ValueError(
                f"calibration is for precision='int8', but precision={precision!r}; leave it out"
            )
        return None
    if calibration is None:
        raise ValueError(
            "precision='int8' needs images to set its ranges; give calibration=data.train"
        )
    return evenly_spaced(raw_images(calibration, "calibration", description), CALIBRATION_IMAGES)
