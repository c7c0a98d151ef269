"""Models outside of PyTorch: compiled for ONNX Runtime, and exported into files for others."""

from medzoo.compiled.compile import compile
from medzoo.compiled.description import CompiledPrecision, Description
from medzoo.compiled.export import Exported, export
from medzoo.compiled.graph import export_onnx
from medzoo.compiled.program import export_program
from medzoo.compiled.quantise import quantise
from medzoo.compiled.session import CompiledModel

__all__ = [
    "CompiledModel",
    "CompiledPrecision",
    "Description",
    "Exported",
    "compile",
    "export",
    "export_onnx",
    "export_program",
    "quantise",
]
