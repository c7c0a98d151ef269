"""The weights file: safetensors that carry what is needed to rebuild and feed the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError, safe_open

from medzoo.errors import WeightsError
from medzoo.files import write_atomically
from medzoo.spec import network_of
from medzoo.weights.header import WeightsConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

# torch is imported where tensors are read or written: headers are read without it, and quickly.
_KEY = "medzoo"
"""The header entry of a weights file that holds its `WeightsConfig`, as JSON."""


def save_weights(
    model: nn.Module,
    path: str | Path,
    *,
    training: Mapping[str, Any] | None = None,
    half: bool = False,
) -> Path:
    """Write a model's weights and configuration into one safetensors file, atomically.

    Args:
        model: A model that `medzoo.create_model` made; `torch.compile` and other wrappers around
            it are looked through.
        path: The file to write, ``*.safetensors``.
        training: How it was trained, kept in the file's header.
        half: Store convolution and linear weights in half precision. Normalisation layers'
            parameters and statistics, whose ranges are wide, stay exact.

    Returns:
        The path.

    Raises:
        TypeError: If the model does not say what it is.
        ValueError: If medzoo could not build the model again, or the file's name does not end in
            ``.safetensors``.
    """
    from safetensors.torch import save

    if Path(path).suffix != ".safetensors":
        raise ValueError(f"weights file {str(path)!r} must be named *.safetensors")
    config = WeightsConfig.of(model, training)
    tensors = {
        name: (tensor.half() if half and tensor.ndim > 1 else tensor).contiguous()
        for name, tensor in network_of(model).state_dict().items()
    }
    # One header entry only: safetensors writes several in random order, and the same weights
    # should give the same bytes.
    content = save(tensors, {_KEY: config.to_json()})
    return write_atomically(path, content)


def read_config(path: str | Path) -> WeightsConfig:
    """Read what a weights file says about itself, without its tensors.

    Args:
        path: The file.

    Raises:
        WeightsError: If it cannot be read or was not written by medzoo.
    """
    with _opened(path, "numpy") as file:
        header = (file.metadata() or {}).get(_KEY)
    if header is None:
        raise WeightsError(
            f"{path} is a safetensors file without a medzoo configuration; load its tensors into "
            "your own model with safetensors.torch.load_model"
        )
    try:
        return WeightsConfig.from_json(header)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} holds a configuration that this version of medzoo cannot read ({error}); "
            "fetch the file again or update medzoo"
        ) from error


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a weights file's tensors; those stored in half precision come back as float32.

    Args:
        path: The file.

    Raises:
        WeightsError: If it cannot be read.
    """
    import torch

    with _opened(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
    }


def _opened(path: str | Path, framework: Literal["numpy", "pt"]) -> Any:
    try:
        return safe_open(path, framework=framework)
    except FileNotFoundError as error:
        raise WeightsError(f"weights file {path} does not exist; check the path") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"weights file {path} is not a readable safetensors file ({error}); "
            "delete it and fetch it again"
        ) from error
