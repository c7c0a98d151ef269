"""Tensors of the Open Inference Protocol: in JSON, or in binary after it."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from medzoo.files import parse_json
from medzoo.serving.problems import Problem

INPUT, OUTPUTS = "images", ("probabilities", "logits")
HEADER = "Inference-Header-Content-Length"
_MAX_JSON = 4 << 20
"""Bytes of JSON. Binary tensors may be larger."""
_MAX_VALUES = 1 << 19
"""Values in it, since nothing else is done while it is read, which takes a time for each value."""
_MAX_AXES = 8
"""Axes of a shape, of which those that fit have at most four."""
_LENGTH = struct.Struct("<I")
_OF_REQUESTS = frozenset({"binary_data_output", "content_type", "priority", "timeout"})
_OF_INPUTS = frozenset({"binary_data_size", "content_type"})
_OF_OUTPUTS = frozenset({"binary_data"})
"""Parameters that clients may send; those that concern no answer are ignored."""


@dataclass(frozen=True)
class InferRequest:
    """What a client asks.

    Attributes:
        identifier: That the answer repeats; None if there is none.
        images: uint8 of four dimensions, or the contents of files.
        outputs: Names of the outputs, and whether each is returned in binary.
    """

    identifier: str | None
    images: np.ndarray | list[bytes]
    outputs: Mapping[str, bool]


def parse(body: bytes, json_size: str | None) -> InferRequest:
    """Read a request.

    Args:
        body: JSON, and possibly binary tensors after it.
        json_size: The bytes of JSON, as the header says; None if there is nothing after it.

    Raises:
        Problem: If it cannot be read, or asks for what there is not.
    """
    size = len(body) if json_size is None else _number(json_size, len(body))
    if size > _MAX_JSON:
        raise Problem(413, f"the JSON exceeds {_MAX_JSON:,} bytes; send binary tensor data")
    if body.count(b",", 0, size) > _MAX_VALUES:
        raise Problem(413, f"the JSON exceeds {_MAX_VALUES:,} values; send binary tensor data")
    try:
        values = parse_json(body[:size])
        if len(values["inputs"]) != 1:
            raise ValueError(f"there are {len(values['inputs'])} inputs, expected one, {INPUT!r}")
        (tensor,) = values["inputs"]
        name, kind, shape = tensor["name"], tensor["datatype"], tensor["shape"]
        given = tensor.get("parameters") or {}
        _check_parameters(given, _OF_INPUTS)
        binary = given.get("binary_data_size")
        identifier = values.get("id")
        if not (identifier is None or isinstance(identifier, str)):
            raise TypeError("id must be text")
        if name != INPUT:
            raise ValueError(f"unknown input {name!r:.80}; the only input is {INPUT!r}")
        rest = body[size:]
        if binary is None:
            images = _from_json(tensor["data"], kind)
            binary = 0
        else:
            images = _from_binary(rest, kind)
        if binary != len(rest) or isinstance(binary, bool):
            raise ValueError(f"binary_data_size is {binary!r:.80}, but {len(rest)} bytes follow")
        outputs = _outputs(values)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise Problem(
            422, f"the inference request cannot be read: {reason or type(error).__name__}"
        ) from error
    return InferRequest(identifier, _shaped(images, shape), outputs)


def render(
    values: dict[str, Any], arrays: Mapping[str, np.ndarray], binary: Mapping[str, bool]
) -> tuple[bytes, dict[str, str]]:
    """Write an answer.

    Args:
        values: Its fields, without the outputs.
        arrays: The outputs, float32.
        binary: Whether each output is returned in binary.

    Returns:
        The body, and the headers that say how to read it.
    """
    blobs, outputs = [], []
    for name, array in arrays.items():
        tensor: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(array.shape)}
        if binary[name]:
            blobs.append(array.astype("<f4").tobytes())
            tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            tensor["data"] = array.ravel().tolist()
        outputs.append(tensor)
    text = json.dumps(values | {"outputs": outputs}).encode()
    if not blobs:
        return text, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", HEADER: str(len(text))}
    return b"".join([text, *blobs]), headers


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) <= most):
        raise Problem(422, f"{HEADER} must be the number of bytes of JSON, at most {most}")
    return int(text)


def _from_json(data: Any, kind: str) -> np.ndarray | list[bytes]:
    if not isinstance(data, list):
        raise TypeError("data must be a list")
    if kind == "BYTES":
        try:
            return [base64.b64decode(one, validate=True) for one in data]
        except (binascii.Error, ValueError, TypeError) as error:
            raise ValueError(f"BYTES must be files in base64 ({error})") from error
    if kind != "UINT8":
        raise ValueError(f"datatype {kind!r:.80} is not supported; send UINT8 or BYTES")
    # Nested lists are as good as flat ones. As objects, since an array of text would give to each
    # element the memory of the longest.
    values = np.array(data, dtype=object).ravel().tolist()
    if not all(type(one) is int and 0 <= one <= 255 for one in values):
        raise ValueError("UINT8 must be whole numbers from 0 to 255, in a list or in equal lists")
    return np.array(values, np.uint8)


def _from_binary(data: bytes, kind: str) -> np.ndarray | list[bytes]:
    if kind == "UINT8":
        return np.frombuffer(data, np.uint8)
    if kind != "BYTES":
        raise ValueError(f"datatype {kind!r:.80} is not supported; send UINT8 or BYTES")
    files, place = [], 0
    while place < len(data):
        if len(data) - place < _LENGTH.size:
            raise ValueError("the binary BYTES end early")
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if length > len(data) - place:
            raise ValueError("the binary BYTES end early")
        files.append(data[place : place + length])
        place += length
    return files


def _shaped(images: np.ndarray | list[bytes], shape: Any) -> np.ndarray | list[bytes]:
    # Few and small numbers, as the product of many takes minutes.
    is_shape = isinstance(shape, list) and len(shape) <= _MAX_AXES
    if not (
        is_shape
        and all(type(one) is int and 1 <= one <= len(images) for one in shape)
        and prod(shape) == len(images)
    ):
        raise Problem(422, f"the shape {shape!r:.80} does not fit the {len(images)} elements")
    if isinstance(images, list):
        if shape not in ([len(images)], [len(images), 1]):
            raise Problem(422, f"BYTES have the shape {shape}, expected [images]")
        return images
    if len(shape) != 4:
        raise Problem(
            422,
            f"UINT8 has the shape {shape}, expected [images, height, width, channels] or "
            "[images, channels, height, width]",
        )
    return images.reshape(shape)


def _outputs(values: Mapping[str, Any]) -> dict[str, bool]:
    """Return which outputs are asked for, by default all, and which of them in binary."""
    parameters = values.get("parameters") or {}
    _check_parameters(parameters, _OF_REQUESTS)
    default = _flag(parameters, "binary_data_output", False)
    asked = values.get("outputs") or [{"name": name} for name in OUTPUTS]
    outputs = {}
    for one in asked:
        name, given = one["name"], one.get("parameters") or {}
        if name not in OUTPUTS:
            raise ValueError(f"unknown output {name!r:.80}; there are {' and '.join(OUTPUTS)}")
        _check_parameters(given, _OF_OUTPUTS)
        outputs[name] = _flag(given, "binary_data", default)
    return outputs


def _check_parameters(given: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse parameters that may have been meant to change the answer."""
    if others := sorted(given.keys() - known):
        raise ValueError(f"the parameters {others!r:.80} are not supported")


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r:.80}, expected true or false")
    return value
