"""The compiled model: an ONNX graph in a runtime for CPUs, called like any other model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from medzoo.deployment.description import (
    OOD_SCORE,
    OUTPUT,
    CompiledPrecision,
    Description,
    check_digest,
)
from medzoo.deployment.onnx_runtime import OnnxRuntime
from medzoo.deployment.openvino import OpenVino
from medzoo.errors import WeightsError, unknown_name
from medzoo.files import regular_file
from medzoo.models._classifier import check_prepared
from medzoo.spec import ModelSpec, SpecCarrier
from medzoo.spec.carrier import without_outdated
from medzoo.spec.checks import check_whole

Backend: TypeAlias = Literal["onnxruntime", "openvino"]
BACKENDS: Mapping[Backend, type[OnnxRuntime | OpenVino]] = {
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
}
"""What runs the graph of a compiled model."""


class CompiledModel(SpecCarrier):
    """A classifier that ONNX Runtime or OpenVINO runs on the CPU; `medzoo.compile` makes it.

    It is called like the model it was made from, and can be given to `medzoo.evaluate` and
    `medzoo.predict`. It has no parameters and no gradients.

    Args:
        content: An ONNX file that medzoo wrote.
        threads: Threads that one call may use; by default as many as PyTorch uses.
        backend: What runs it: ``"onnxruntime"`` or ``"openvino"``.

    Attributes:
        spec: What the model is.
        num_classes: Number of logits.
        precision: ``"float32"`` or ``"int8"``.
        threads: Threads that one call may use.
        backend: ``"onnxruntime"`` or ``"openvino"``.
        has_ood_scores: Whether it says how unfamiliar an image is.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` or ``medzoo[openvino]`` is missing.
        TypeError: If `threads` is not a whole number.
        ValueError: If the file was not written by medzoo, `threads` is below 1, or the backend
            is unknown.
    """

    precision: CompiledPrecision
    threads: int
    backend: Backend
    has_ood_scores: bool

    def __init__(
        self, content: bytes, *, threads: int | None = None, backend: Backend = "onnxruntime"
    ) -> None:
        self.threads = number_of_threads(threads)
        check_backend(backend)
        self.backend = backend
        self._runtime = BACKENDS[backend](content, self.threads)
        if self._runtime.description is None:
            raise ValueError(
                "this ONNX file does not say how to prepare its input; give one that medzoo wrote"
            )
        description = Description.from_json(self._runtime.description)
        description.check_shapes(self._runtime.inputs, self._runtime.outputs)
        self.spec = description.spec
        self.num_classes = description.spec.num_classes
        self.precision = description.precision
        self.has_ood_scores = description.has_ood_scores

    @property
    def spec(self) -> ModelSpec:
        """What the model is; another input or temperature drops prediction sets and risks."""
        return self._spec

    @spec.setter
    def spec(self, spec: ModelSpec) -> None:
        self._spec = without_outdated(getattr(self, "_spec", None), spec)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        backend: Backend = "onnxruntime",
    ) -> CompiledModel:
        """Open an .onnx file that `medzoo.export` wrote.

        Args:
            path: The file.
            threads: Threads that one call may use; by default as many as PyTorch uses.
            backend: What runs it: ``"onnxruntime"`` or ``"openvino"``.

        Raises:
            ImportError: If the extra ``medzoo[onnx]`` or ``medzoo[openvino]`` is missing.
            TypeError: If `threads` is not a whole number.
            ValueError: If `threads` is below 1, or the backend is unknown.
            WeightsError: If the file does not exist, is damaged or was not written by medzoo.

        Example:
            >>> CompiledModel.from_file("model.onnx")  # doctest: +SKIP
            CompiledModel(simple_cnn, float32, threads=4)
        """
        threads = number_of_threads(threads)
        check_backend(backend)
        try:
            content = regular_file(Path(path)).read_bytes()
            check_digest(content)
            return cls(content, threads=threads, backend=backend)
        except ImportError:
            raise
        except OSError as error:
            reason = error.strerror or error
            raise WeightsError(f"cannot read {os.fspath(path)!r}: {reason}") from error
        except Exception as error:  # runtimes have their own kinds of errors for damaged files
            reason = " ".join(str(error).split())
            raise WeightsError(
                f"cannot load {os.fspath(path)!r} as a model: {reason}; give an .onnx file that "
                "medzoo.export wrote"
            ) from error

    def __call__(self, images: Tensor) -> Tensor:
        """Map normalised images, float (N, C, H, W), to logits, float32 (N, K) on the CPU.

        Raises:
            TypeError: If the images are not floats, or not dense.
            ValueError: If the images have another shape than the model was compiled for.
        """
        return self._run(images, OUTPUT)[0]

    def with_ood_scores(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map normalised images, float (N, C, H, W), to logits (N, K) and their scores (N,).

        Args:
            images: The images.

        Returns:
            Logits and out-of-distribution scores, float32, on the CPU; above 1, an image is
            farther away than 95 % of the validation images. `medzoo.predict` uses this.

        Raises:
            TypeError: As a call.
            ValueError: As a call; also if the model has no scores.
        """
        if not self.has_ood_scores:
            raise ValueError(
                "the model had no out-of-distribution detector when it was compiled; fit one with "
                "medzoo.fit_ood_detector, and compile or export it again"
            )
        logits, scores = self._run(images, OUTPUT, OOD_SCORE)
        return logits, scores

    def _run(self, images: Tensor, *outputs: str) -> list[Tensor]:
        expected = self.spec.input.shape
        if not isinstance(images, Tensor) or images.shape[1:] != expected or not len(images):
            found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            channels, height, width = expected
            raise ValueError(
                f"a batch is {found}, but the model was compiled for images "
                f"(N, {channels}, {height}, {width}); medzoo.predict and medzoo.evaluate prepare "
                "images of any size"
            )
        check_prepared(images)
        batch = images.detach().to("cpu", torch.float32).contiguous().numpy()
        return list(map(torch.from_numpy, self._runtime(batch, outputs)))

    def __repr__(self) -> str:
        name = self.spec.architecture or "model"
        backend = f", {self.backend}" if self.backend != "onnxruntime" else ""
        return f"CompiledModel({name}, {self.precision}{backend}, threads={self.threads})"


def check_backend(backend: str) -> None:
    """Refuse a backend that does not exist.

    Args:
        backend: The name.

    Raises:
        ValueError: If there is no such backend.
    """
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)


def number_of_threads(threads: int | None) -> int:
    """Return a number of threads.

    Args:
        threads: A number, or None for as many as PyTorch uses.

    Raises:
        TypeError: If it is neither a whole number nor None.
        ValueError: If it is below 1.
    """
    if threads is None:
        return torch.get_num_threads()
    check_whole("threads", threads, 1)
    return threads
