"""OpenVINO, which runs the same ONNX graphs; faster for large batches of 8-bit models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medzoo.deployment.description import METADATA_KEY
from medzoo.lazy import import_optional


class OpenVino:
    """A graph on the CPU; see `medzoo.deployment.onnx_runtime.OnnxRuntime`.

    Args:
        content: The ONNX file.
        threads: Threads that one call may use.

    Attributes:
        description: What the file says about itself, as JSON; None if it says nothing.
        inputs: Name and shape of each input.
        outputs: Name and shape of each output.

    Raises:
        ImportError: If the extra ``medzoo[openvino]`` is missing.
    """

    def __init__(self, content: bytes, threads: int) -> None:
        core = import_optional("openvino", "this backend needs", "openvino").Core()
        graph = core.read_model(content)
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # some processors would compute in 16 bits
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled = core.compile_model(graph, "CPU", options)
        key = ["framework", METADATA_KEY]  # where metadata of ONNX files are
        self.description: str | None = (
            str(graph.get_rt_info(key).value) if graph.has_rt_info(key) else None
        )
        self.inputs: list[tuple[str, Any]] = _shapes(graph.inputs)
        self.outputs: list[tuple[str, Any]] = _shapes(graph.outputs)

    def __call__(self, batch: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        """Map float32 (N, C, H, W) to the outputs of these names, float32 (N, ...)."""
        request = self._compiled.create_infer_request()  # threads must not share one
        found = request.infer(batch)
        return [found[name].copy() for name in outputs]  # what the request owns ends with it


def _shapes(ports: Any) -> list[tuple[str, Any]]:
    return [
        (one.any_name, [-1 if side.is_dynamic else side.get_length() for side in one.partial_shape])
        for one in ports
    ]
