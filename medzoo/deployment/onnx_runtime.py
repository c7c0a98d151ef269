"""ONNX Runtime, which runs ONNX graphs; the default of `medzoo.compile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medzoo.deployment.description import INPUT, METADATA_KEY
from medzoo.lazy import import_optional

_ERRORS_ONLY = 3


class OnnxRuntime:
    """A graph on the CPU.

    Args:
        content: The ONNX file.
        threads: Threads that one call may use.

    Attributes:
        description: What the file says about itself, as JSON; None if it says nothing.
        inputs: Name and shape of each input.
        outputs: Name and shape of each output.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` is missing.
    """

    def __init__(self, content: bytes, threads: int) -> None:
        runtime = import_optional("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        self._session = runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.description = metadata.get(METADATA_KEY)
        self.inputs: list[tuple[str, Any]] = [
            (one.name, one.shape) for one in self._session.get_inputs()
        ]
        self.outputs: list[tuple[str, Any]] = [
            (one.name, one.shape) for one in self._session.get_outputs()
        ]

    def __call__(self, batch: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        """Map float32 (N, C, H, W) to the outputs of these names, float32 (N, ...)."""
        return list(self._session.run(outputs, {INPUT: batch}))
