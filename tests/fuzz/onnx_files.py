"""Damaged .onnx files, opened by each backend: their bytes, and what they say about themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

import medzoo
from medzoo.deployment import CompiledModel
from medzoo.deployment.description import METADATA_KEY, Description, with_digest
from tests.fuzz.data_files import damaged
from tests.fuzz.headers import damaged_json
from tests.fuzz.readers import Case

_BACKENDS = ("onnxruntime", "openvino")


def cases() -> dict[str, Case]:
    """Return the kinds by name."""
    model = medzoo.create_model("simple_cnn", dataset="breastmnist", widths=(4, 4, 4))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        medzoo.export(model, path)
        content = path.read_bytes()
    graph = onnx.load_model_from_string(content)
    plain = content[: content.rindex(b"medzoo_digest") - 4]  # what no digest protects
    description = Description.of(model).to_dict()

    def bytes_of(content: bytes, seed: int) -> Callable[[int], bytes]:
        return lambda number: damaged(content, np.random.default_rng([seed, number]))

    def described(number: int) -> bytes:
        text = damaged_json(number, description).encode("utf8", "replace").decode()
        onnx.helper.set_model_props(graph, {METADATA_KEY: text})
        return with_digest(graph)

    kinds = {"bytes": bytes_of(content, 6), "graph": bytes_of(plain, 7), "description": described}
    return {
        f"onnx {kind}, {backend}": Case(
            make, partial(_predict, backend=backend), (medzoo.WeightsError,), ".onnx"
        )
        for kind, make in kinds.items()
        for backend in _BACKENDS
    }


def _predict(path: Path, backend: Any) -> object:
    model = CompiledModel.from_file(path, backend=backend)
    shape = model.spec.input.shape
    if np.prod(shape, dtype=float) > 1e6:
        return None  # a description may ask for large images
    return model(torch.zeros(1, *shape))
