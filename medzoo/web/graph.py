"""ONNX graphs for browsers: small files, and what a heat map needs beside the logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medzoo.deployment.description import OUTPUT
from medzoo.deployment.optional import import_optional

PLACES = "places"
"""The graph's second output, float32 (N, K, h, w): what each place adds to the logit of a class."""

_LEAST_SIDE = 7  # places per side of a heat map that says where; see `medzoo.explain`
_LEAST_VALUES = 64  # of a tensor that is worth storing in two bytes per number


def half_weights(content: bytes, original: Mapping[str, np.ndarray]) -> bytes | None:
    """Store weights in float16 and convert them when the file is loaded.

    The graph still computes in float32. Vectors stay as they are: the parameters of normalisation
    layers and biases have wide ranges, and are few. Weights that were float16 before (such as the
    published ones) lose nothing, although the exporter has multiplied them by the factors of the
    normalisation that follows: these factors are stored on their own.

    Args:
        content: An ONNX file in float32.
        original: The network's own weights, by the names that they have in the file.

    Returns:
        An ONNX file of about half the size; None if a weight is too large for float16.

    Raises:
        ImportError: If the package onnx is missing.
    """
    onnx = import_optional("onnx")
    model = onnx.load_model_from_string(content)
    graph = model.graph
    nodes = []
    for tensor in list(graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        if values.size < _LEAST_VALUES:
            continue
        weights, factors = _split(values, original.get(name))
        with np.errstate(over="ignore"):
            half = weights.astype(np.float16)
        if not np.isfinite(half).all():
            return None
        stored, scale, cast = f"{name}..float16", f"{name}..factors", f"{name}..float32"
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, stored))
        target = name if factors is None else cast
        nodes.append(onnx.helper.make_node("Cast", [stored], [target], to=onnx.TensorProto.FLOAT))
        if factors is not None:
            graph.initializer.append(onnx.numpy_helper.from_array(factors, scale))
            nodes.append(onnx.helper.make_node("Mul", [cast, scale], [name]))
    nodes += graph.node
    del graph.node[:]
    graph.node.extend(nodes)
    return bytes(model.SerializeToString(deterministic=True))


def _split(values: np.ndarray, original: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return weights and factors per output channel whose product is `values`, if float16 fits."""
    if original is None or original.shape != values.shape:
        return values, None
    with np.errstate(over="ignore"):
        if not np.array_equal(original, original.astype(np.float16).astype(np.float32)):
            return values, None
    inner = tuple(range(1, values.ndim))
    squares = (original.astype(np.float64) ** 2).sum(inner, keepdims=True)
    products = (original.astype(np.float64) * values).sum(inner, keepdims=True)
    factors = (products / np.where(squares, squares, 1)).astype(np.float32)
    if not np.allclose(original * factors, values, rtol=1e-6, atol=0):
        return values, None
    return original, None if (factors == 1).all() else factors


def with_places(content: bytes) -> bytes:
    """Add the output `PLACES` to a classifier that averages its last map before a linear layer.

    Then a logit is the sum, over the places of the map, of what each place adds to it (and the
    bias), which is what HiResCAM computes by a gradient.

    Args:
        content: An ONNX file that `medzoo.deployment.export_onnx` wrote.

    Returns:
        The file with this output; unchanged if the network ends in another way, or if its last map
        has fewer than 7 x 7 places.

    Raises:
        ImportError: If the package onnx is missing.
    """
    onnx = import_optional("onnx")
    model = onnx.load_model_from_string(content)
    graph = model.graph
    head = _LinearHead.find(onnx, graph)
    if head is None:
        return content
    channels, height, width = head.shape
    weights = (head.weights / (height * width)).reshape(len(head.weights), channels, 1, 1)
    graph.initializer.append(onnx.numpy_helper.from_array(weights, PLACES + "..weights"))
    graph.node.append(
        onnx.helper.make_node("Conv", [head.source, PLACES + "..weights"], [PLACES], name=PLACES)
    )
    graph.output.append(
        onnx.helper.make_tensor_value_info(
            PLACES, onnx.TensorProto.FLOAT, ["n", len(head.weights), height, width]
        )
    )
    return bytes(model.SerializeToString(deterministic=True))


class _LinearHead:
    """The end of a network: the mean of a map, then a linear layer."""

    def __init__(self, source: str, shape: tuple[int, int, int], weights: np.ndarray) -> None:
        self.source = source
        self.shape = shape
        self.weights = weights

    @classmethod
    def find(cls, onnx: Any, graph: Any) -> _LinearHead | None:
        """Return the end of a graph if it is one of this kind."""
        made_by = {name: node for node in graph.node for name in node.output}
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        linear = made_by.get(OUTPUT)
        if linear is None or linear.op_type != "Gemm" or linear.input[1] not in tensors:
            return None
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in linear.attribute}
        scales = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
        if scales != (1.0, 1.0) or attributes.get("transA") or not attributes.get("transB"):
            return None
        pooled = made_by.get(linear.input[0])
        while pooled is not None and pooled.op_type in ("Reshape", "Flatten", "Identity"):
            pooled = made_by.get(pooled.input[0])
        if pooled is None or pooled.op_type not in ("ReduceMean", "GlobalAveragePool"):
            return None
        if pooled.op_type == "ReduceMean":
            axes = tensors.get(pooled.input[1]) if len(pooled.input) > 1 else None
            if axes is None or sorted(onnx.numpy_helper.to_array(axes) % 4) != [2, 3]:
                return None
        source = pooled.input[0]
        shape = next((_shape(value) for value in graph.value_info if value.name == source), ())
        weights = onnx.numpy_helper.to_array(tensors[linear.input[1]])
        if len(shape) != 4 or shape[1] != weights.shape[1] or min(shape[2:]) < _LEAST_SIDE:
            return None
        return cls(source, shape[1:], weights)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
