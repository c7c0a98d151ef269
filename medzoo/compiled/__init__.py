"""Fast inference on CPUs: a model as an ONNX graph, run by ONNX Runtime."""

from medzoo.compiled.compile import compile
from medzoo.compiled.description import CompiledPrecision, Description
from medzoo.compiled.export import export_onnx
from medzoo.compiled.quantise import quantise
from medzoo.compiled.session import CompiledModel

__all__ = [
    "CompiledModel",
    "CompiledPrecision",
    "Description",
    "compile",
    "export_onnx",
    "quantise",
]
