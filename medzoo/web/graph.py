"""ONNX graphs for browsers: small files, and what a heat map needs beside the logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medzoo.deployment.description import INPUT, OUTPUT, with_digest
from medzoo.lazy import import_optional

SCALE = "scale"
"""The graph's second input, float32 (M, 1, h, w): by what the places of a feature map are
multiplied. M is 1, or the logits are those of one image with M scales."""

_LEAST_VALUES = 64  # of a tensor that is worth storing in two bytes per number
_TOLERANCE = 1e-4  # of a value of a feature map, or of the largest if that is above 1


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
    return with_digest(model)


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


def with_scale(content: bytes, image: np.ndarray, features: np.ndarray) -> bytes | None:
    """Add the input `SCALE`, with which a heat map can be computed without gradients.

    HiResCAM is the derivative of a logit by the scale of each place, and is 0 where nothing
    changes. In the graph the map is recognised by its values, since it has no name there. With
    several scales, a score of unfamiliar images is that of the image with the first one.

    Args:
        content: An ONNX file that `medzoo.deployment.export_onnx` wrote.
        image: A prepared image (1, C, H, W).
        features: Its feature map (1, channels, h, w), as PyTorch computes it.

    Returns:
        The file with this input; None if the graph does not contain the map.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` is missing.
    """
    onnx = import_optional("onnx")
    model = onnx.load_model_from_string(content)
    graph = model.graph
    names = [value.name for value in graph.value_info if _shape(value)[1:] == features.shape[1:]]
    source = _equal_to(features, model, names, image)
    if source is None:
        return None
    scaled = f"{source}..scaled"
    to_logits = _leading_to(OUTPUT, graph)
    changed, first = {scaled}, set[str]()  # what depends on the scales; of which there is a part
    nodes = []
    for node in graph.node:
        if to_logits.intersection(node.output):
            node.input[:] = [scaled if name == source else name for name in node.input]
            changed.update(node.output if changed.intersection(node.input) else ())
        else:  # a score has features of layers before the map, too: of as many images as are given
            for name in sorted(changed.intersection(node.input) - first):
                nodes += _first_rows(name)
                first.add(name)
            node.input[:] = [f"{name}..first" if name in changed else name for name in node.input]
        nodes.append(node)
        if source in node.output:
            nodes.append(onnx.helper.make_node("Mul", [source, SCALE], [scaled]))
    del graph.node[:]
    graph.node.extend(nodes)
    shape = ["m", 1, *features.shape[2:]]
    graph.input.append(onnx.helper.make_tensor_value_info(SCALE, onnx.TensorProto.FLOAT, shape))
    # From here on there may be as many results as scales, not as images; the runtime relies on it.
    del graph.value_info[:]
    graph.output[0].type.tensor_type.shape.dim[0].dim_param = "results"
    return with_digest(model)


def _leading_to(output: str, graph: Any) -> set[str]:
    """Return the values from which one of the outputs of a graph is computed, and the output."""
    needed = {output}
    for node in reversed(graph.node):  # each stands behind those whose results it needs
        if needed.intersection(node.output):
            needed.update(node.input)
    return needed


def _first_rows(name: str) -> list[Any]:
    """Return nodes that keep as many rows of a value as there are images."""
    make_node = import_optional("onnx").helper.make_node
    zero, count = f"{name}..zero", f"{name}..count"
    return [
        make_node("Constant", [], [zero], value_ints=[0]),
        make_node("Shape", [INPUT], [count], start=0, end=1),
        make_node("Slice", [name, zero, count, zero], [f"{name}..first"]),
    ]


def _equal_to(features: np.ndarray, model: Any, names: list[str], image: np.ndarray) -> str | None:
    """Return which of some values of a graph is a feature map, for one image."""
    if not names:
        return None
    probe = type(model)()
    probe.CopyFrom(model)
    probe.graph.output.extend(value for value in model.graph.value_info if value.name in names)
    session = import_optional("onnxruntime").InferenceSession(
        probe.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(names, {INPUT: image})
    distances = [float(np.abs(one - features).max()) for one in found]
    closest = int(np.argmin(distances))
    allowed = _TOLERANCE * max(1.0, float(np.abs(features).max()))
    return names[closest] if distances[closest] <= allowed else None


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
