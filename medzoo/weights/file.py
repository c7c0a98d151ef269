"""The weights file: safetensors that carry what is needed to rebuild and feed the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError, safe_open

from medzoo.errors import WeightsError
from medzoo.files import regular_file
from medzoo.weights.header import WeightsConfig

if TYPE_CHECKING:
    from torch import Tensor

# torch is imported where tensors are read or written: headers are read without it, and quickly.
_KEY = "medzoo"
"""The header entry of a weights file that holds its `WeightsConfig`, as JSON."""


def weights_content(
    tensors: Mapping[str, Tensor], config: WeightsConfig, *, half: bool = False
) -> bytes:
    """Return the content of a weights file.

    Args:
        tensors: The network's, by name.
        config: What the file says about itself.
        half: Store convolution and linear weights in half precision. Normalisation layers'
            parameters and statistics, whose ranges are wide, stay exact.
    """
    import torch
    from safetensors.torch import save

    # Copies, because safetensors takes neither tensors that share memory nor channels-last ones.
    plain = {
        name: (tensor.half() if half and tensor.ndim > 1 else tensor).clone(
            memory_format=torch.contiguous_format
        )
        for name, tensor in tensors.items()
    }
    # One header entry only: safetensors writes several in random order, and the same weights
    # should give the same bytes.
    return save(plain, {_KEY: config.to_json()})


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
        return safe_open(regular_file(path), framework=framework)
    except FileNotFoundError as error:
        raise WeightsError(f"weights file {path} does not exist; check the path") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"weights file {path} is not a readable safetensors file ({error}); "
            "delete it and fetch it again"
        ) from error
