"""Importing the packages of the optional extras, such as ``medzoo[onnx]``, when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_optional(module: str, what: str = "ONNX models need", extra: str = "onnx") -> Any:
    """Import a module that an extra installs.

    Args:
        module: Its full name, e.g. ``"onnxruntime.quantization"``.
        what: What needs it, for the message.
        extra: The extra.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} the package {module.partition('.')[0]} ({error}); "
            f"install it with: pip install 'medzoo[{extra}]'"
        ) from error
