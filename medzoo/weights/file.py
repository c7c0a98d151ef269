"""The weights file: safetensors that carry what is needed to rebuild and feed the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError, safe_open

from medzoo.errors import WeightsError
from medzoo.files import regular_file
from medzoo.weights.header import WeightsConfig
from medzoo.weights.precision import Precision, full_precision, stored_tensors

if TYPE_CHECKING:
    from torch import Tensor

# torch is imported where tensors are read or written: headers are read without it, and quickly.
_KEY = "medzoo"
"""The header entry of a weights file that holds its `WeightsConfig`, as JSON."""


def weights_content(
    tensors: Mapping[str, Tensor], config: WeightsConfig, *, precision: Precision = "float32"
) -> bytes:
    """Return the content of a weights file.

    Args:
        tensors: The network's, by name.
        config: What the file says about itself.
        precision: How to store convolution and linear weights; see `stored_tensors`.

    Raises:
        ValueError: If the precision is unknown or cannot store the tensors.
    """
    import torch
    from safetensors.torch import save

    # Copies, because safetensors takes neither tensors that share memory nor channels-last ones.
    plain = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in stored_tensors(tensors, precision).items()
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
    """Read a weights file's tensors; those stored in fewer bits come back as float32.

    Args:
        path: The file.

    Raises:
        WeightsError: If it cannot be read.
    """
    with _opened(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        return full_precision(tensors)
    except ValueError as error:
        raise WeightsError(f"{path} is damaged ({error}); fetch it again") from error


def read_precision(path: str | Path) -> Precision:
    """Return the precision in which a file stores convolution and linear weights.

    Args:
        path: The file.

    Raises:
        WeightsError: If it cannot be read.
    """
    with _opened(path, "numpy") as file:
        stored = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    return "int8" if "I8" in stored else "float16" if "F16" in stored else "float32"


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
