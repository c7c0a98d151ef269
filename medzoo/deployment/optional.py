"""Importing the optional packages of ``medzoo[onnx]`` when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_optional(module: str) -> Any:
    """Import a module that ``medzoo[onnx]`` installs.

    Args:
        module: Its full name, e.g. ``"onnxruntime.quantization"``.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"ONNX models need the package {module.partition('.')[0]} ({error}); "
            "install it with: pip install 'medzoo[onnx]'"
        ) from error
