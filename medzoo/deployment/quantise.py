"""Quantising an ONNX graph: from float32 to 8-bit integers."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medzoo.deployment.description import INPUT, Description, describe
from medzoo.deployment.onnx_graph import quiet
from medzoo.errors import warn_caller
from medzoo.files import writing
from medzoo.lazy import import_optional
from medzoo.transforms import prepare_batch

_BATCH = 64


def quantise(
    content: bytes, description: Description, images: Tensor, *, portable: bool = False
) -> bytes:
    """Turn weights and activations into 8-bit integers (static quantisation).

    Weights are scaled per output channel. Activations are scaled by their range on the given
    images, which should be representative: a few hundred training images. Some layers stay in
    float32: see `better_in_float32`.

    Args:
        content: An ONNX file that `medzoo.deployment.export_onnx` wrote.
        description: The description in this file.
        images: uint8 (N, C, H, W), of any size, gray or RGB.
        portable: Whether the result may run on other machines: then weights use 7 bits, even if
            this machine does not need it (see `needs_reduced_range`).

    Returns:
        The quantised ONNX file, with this precision in its `Description`.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` is missing.
    """
    quantization = import_optional("onnxruntime.quantization")
    shape_inference = import_optional("onnxruntime.quantization.shape_inference")
    with tempfile.TemporaryDirectory(prefix="medzoo-") as folder, quiet():
        source, prepared, target = (
            Path(folder, name) for name in ("source.onnx", "prepared.onnx", "target.onnx")
        )
        with writing(source, "temporary files"):
            source.write_bytes(content)
        # Folds batch norms into convolutions first, since scales are those of the folded layers.
        shape_inference.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(target),
            _Batches(description, images),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=portable or needs_reduced_range(),
            nodes_to_exclude=better_in_float32(prepared.read_bytes()),
        )
        return describe(target.read_bytes(), replace(description, precision="int8"))


def without_ood_scores(description: Description) -> Description:
    """Return the description of a quantised model, with a warning if the model has a detector.

    Rounding moves features by little, but the detector measures them in units of the variation
    that they had: all images may become unfamiliar.

    Args:
        description: The description of the model.
    """
    if description.has_ood_scores:
        warn_caller(
            "in 8-bit integers, features are too inexact for the out-of-distribution detector: the "
            "result does not say which images are unfamiliar. precision='float32' keeps it"
        )
    return replace(description, has_ood_scores=False)


def better_in_float32(content: bytes) -> list[str]:
    """Return the nodes of a graph that would lose accuracy as integers and hardly be faster.

    - Convolutions on 1x1 maps, as in the gates of squeeze-and-excitation, and matrix products with
      one vector per image, as in the classifier. They take little time, and their rounding would
      shift whole channels, or the logits themselves.
    - Batch norms that could not be folded into a convolution. ONNX Runtime has no integer version.

    Args:
        content: An ONNX file, with the shapes of its values.

    Returns:
        The nodes' names.

    Raises:
        ImportError: If the package onnx is missing.
    """
    graph = import_optional("onnx").load_model_from_string(content).graph
    positions = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim[2:]]
        for value in [*graph.input, *graph.value_info]
        if value.type.tensor_type.HasField("shape")
    }

    def is_better(node: Any) -> bool:
        where = positions.get(node.input[0]) if node.input else None
        return (
            node.op_type == "BatchNormalization"
            or (node.op_type == "Conv" and where == [1, 1])
            or (node.op_type in ("Gemm", "MatMul") and where == [])
        )

    return [node.name for node in graph.node if is_better(node)]


def needs_reduced_range() -> bool:
    """Return whether weights may use only 7 bits, so that sums of two products do not overflow.

    x86 processors without the VNNI instructions add pairs of 8-bit products in 16 bits, and
    silently clip the sum.
    """
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686", "x86")
    return x86 and not torch.cpu._is_vnni_supported()


class _Batches:
    """Prepared images in the form that ONNX Runtime's calibration takes, batch by batch."""

    def __init__(self, description: Description, images: Tensor) -> None:
        self._batches = self._prepared(description, images)

    @staticmethod
    def _prepared(description: Description, images: Tensor) -> Iterator[dict[str, Any]]:
        for part in images.split(_BATCH):
            batch = prepare_batch(part, description.spec.input)
            yield {INPUT: batch.contiguous().numpy()}

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)
