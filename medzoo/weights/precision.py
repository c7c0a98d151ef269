"""The precisions in which weights files store convolution and linear weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

from medzoo.errors import unknown_name

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["float32", "float16", "int8"]
"""``"float32"`` stores every tensor as it is. The others store convolution and linear weights
(tensors of more than one dimension) in two or one bytes per number, and everything else as it is:
the parameters and statistics of normalisation layers have wide ranges."""

_SCALE = "..scale"
"""Ends the name of the scales of an int8 tensor. A module's name is never empty, so no parameter
can have two dots in its name."""
_LEVELS = 127  # symmetric: -127 to 127


def stored_tensors(tensors: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Return a network's tensors as a weights file stores them.

    In ``"int8"``, each slice along the first dimension (the weights of one output channel) is
    rounded to whole multiples of its scale, which is its largest absolute value divided by 127.
    So no weight changes by more than 1/254 of the largest one of its channel. The scales are
    stored beside the tensor.

    Args:
        tensors: The network's, by name.
        precision: How to store weights of more than one dimension.

    Raises:
        ValueError: If the precision is unknown, or a tensor has values that it cannot store.
    """
    if precision not in get_args(Precision):
        raise unknown_name("precision", precision, get_args(Precision))
    if precision == "float32":
        return dict(tensors)
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or not tensor.is_floating_point():
            stored[name] = tensor
        elif precision == "float16":
            stored[name] = tensor.half()
        else:
            stored[name], stored[name + _SCALE] = _quantised(tensor.float())
        if not all(stored[key].isfinite().all() for key in (name, name + _SCALE) if key in stored):
            raise ValueError(
                f"{name} has values that {precision!r} cannot store (infinite, not a number, or "
                "too large); save the model with precision='float32'"
            )
    return stored


def full_precision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a weights file's tensors as the network needs them: numbers as float32.

    Args:
        tensors: As stored, by name.

    Raises:
        ValueError: If scales do not fit the tensor that they belong to.
    """
    full: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(_SCALE):
            if name.removesuffix(_SCALE) not in tensors:
                raise ValueError(f"{name} has no tensor beside it")
        elif (scale := tensors.get(name + _SCALE)) is not None:
            full[name] = _dequantised(name, tensor, scale)
        else:
            full[name] = tensor.float() if tensor.is_floating_point() else tensor
    return full


def _quantised(tensor: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    scale = tensor.abs().amax(dim=tuple(range(1, tensor.ndim)), keepdim=True) / _LEVELS
    levels = (tensor / scale.where(scale > 0, 1.0)).round().clamp(-_LEVELS, _LEVELS)
    return levels.to(torch.int8), scale


def _dequantised(name: str, levels: Tensor, scale: Tensor) -> Tensor:
    import torch

    per_channel = (*levels.shape[:1], *[1] * (levels.ndim - 1))
    if levels.dtype != torch.int8 or scale.dtype != torch.float32 or scale.shape != per_channel:
        raise ValueError(
            f"{name} is {levels.dtype} {tuple(levels.shape)} with a scale of {scale.dtype} "
            f"{tuple(scale.shape)}"
        )
    return levels.float().mul_(scale)
