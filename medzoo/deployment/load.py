"""From the name or file of a model to the model itself, whether it runs in PyTorch or not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar, overload

from medzoo.deployment.session import CompiledModel
from medzoo.errors import WeightsError
from medzoo.models import Classifier, create_model

_ONNX, _WEIGHTS, _PROGRAM = ".onnx", ".safetensors", ".pt2"

M = TypeVar("M")


@overload
def load_model(model: str | os.PathLike[str]) -> Classifier | CompiledModel: ...
@overload
def load_model(model: M) -> M: ...
def load_model(model: object) -> object:
    """Return the model that a name or path stands for; return anything else unchanged.

    `medzoo.predict`, `medzoo.explain`, `medzoo.evaluate` and the command line find models by this
    function. To use one several times, load it once.

    Args:
        model: The path of an .onnx file that medzoo wrote, which ONNX Runtime runs; a name or file
            of trained weights, as for `medzoo.create_model`; or a model.

    Raises:
        ImportError: If it is an .onnx file, and the extra ``medzoo[onnx]`` is missing.
        ValueError: If a name is unknown; the message lists close matches.
        WeightsError: If a file does not exist, is damaged, or is not one of these.

    Example:
        >>> load_model("simple_cnn.dermamnist").spec.dataset.name
        'dermamnist'
    """
    if not isinstance(model, str | os.PathLike):
        return model
    name = os.fspath(model)
    suffix = Path(name).suffix.lower()
    if suffix == _ONNX:
        return CompiledModel.from_file(name)
    if suffix != _WEIGHTS and (suffix == _PROGRAM or Path(name).is_file()):
        raise WeightsError(
            f"{name!r} is not a file of a model that medzoo can load; expected {_WEIGHTS} "
            f"(medzoo.save_weights) or {_ONNX} (medzoo.export). A {_PROGRAM} file is read by "
            "torch.export.load"
        )
    return create_model(name, pretrained=True)
