"""Models outside of PyTorch: compiled for ONNX Runtime, and exported into files for others."""

from medzoo.deployment.compile import compile
from medzoo.deployment.description import CompiledPrecision, Description
from medzoo.deployment.export import Exported, export
from medzoo.deployment.load import load_model
from medzoo.deployment.onnx_graph import export_onnx
from medzoo.deployment.quantise import quantise
from medzoo.deployment.session import CompiledModel
from medzoo.deployment.torch_export import export_program

__all__ = [
    "CompiledModel",
    "CompiledPrecision",
    "Description",
    "Exported",
    "compile",
    "export",
    "export_onnx",
    "export_program",
    "load_model",
    "quantise",
]
