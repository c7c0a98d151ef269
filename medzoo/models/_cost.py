"""What a model costs: parameters and operations, counted without computing anything."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medzoo.models._factory import create_model
from medzoo.spec import network_of, spec_of
from medzoo.spec.checks import MAX_SIZE, check_whole
from medzoo.weights import locate_named, weights_index


@dataclass(frozen=True)
class ModelCost:
    """What a model costs.

    Attributes:
        parameters: Number of parameters.
        multiply_adds: Multiplications with an addition for one image, in convolutions, linear
            layers and attention; normalisation, activations and pooling are not counted.
        size: Height and width of the image, in pixels.
    """

    parameters: int
    multiply_adds: int
    size: int

    @property
    def mflop(self) -> float:
        """Million operations for one image, where a multiply-add is two, as PyTorch counts."""
        return 2 * self.multiply_adds / 1e6

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return asdict(self) | {"mflop": self.mflop}

    def __str__(self) -> str:
        return (
            f"{self.parameters / 1e6:.2f} M parameters, {self.mflop:.1f} MFLOP per image of "
            f"{self.size} x {self.size} pixels"
        )


def model_cost(
    model: nn.Module | str | Path, *, size: int | None = None, **model_args: Any
) -> ModelCost:
    """Count the parameters of a model, and its operations for one image.

    Nothing is computed, so it takes milliseconds and no memory. An architecture needs no weights.

    Args:
        model: A model, or what `medzoo.create_model` takes for one: an architecture, a checkpoint
            or a weights file.
        size: Height and width of the image in pixels; by default what the model expects.
        **model_args: With a name: other arguments of `medzoo.create_model`, e.g.
            ``dataset="octmnist"`` or ``widths=[32, 64, 96, 128]``.

    Raises:
        TypeError: If it does not say which images it expects, or `model_args` are given for a
            model that exists.
        ValueError: If the name or the size is wrong.
        WeightsError: If a file cannot be read.

    Example:
        >>> print(model_cost("efficientnet"))
        2.44 M parameters, 218.0 MFLOP per image of 28 x 28 pixels
    """
    if size is not None:
        check_whole("size", size, 1, MAX_SIZE)
    if not isinstance(model, nn.Module):
        model = _build(str(model), size, model_args)
    elif model_args:
        raise TypeError(f"{sorted(model_args)} build a model from its name, but one was given")
    spec, network = spec_of(model), _without_values(network_of(model))
    size = size or spec.input.size
    floats = next((t.dtype for t in network.parameters() if t.is_floating_point()), None)
    image = torch.empty(1, spec.input.channels, size, size, dtype=floats, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(image)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return ModelCost(parameters, counter.get_total_flops() // 2, size)


def _without_values(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, on PyTorch's device for tensors that have only a shape."""
    empty: dict[int, Any] = {id(p): nn.Parameter(p.to("meta"), False) for p in network.parameters()}
    empty |= {id(tensor): tensor.to("meta") for tensor in network.buffers()}
    return copy.deepcopy(network, empty).eval()


def _build(name: str, size: int | None, model_args: dict[str, Any]) -> nn.Module:
    if locate_named(name) or name in weights_index():
        return create_model(name, pretrained=True, size=size, **model_args)
    with torch.device("meta"):
        return create_model(name, size=size, **model_args)
