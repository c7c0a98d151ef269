"""A model inside another one, which gets the other's batches in its own size and normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medzoo.inference.model import in_precision_of
from medzoo.spec import InputSpec, find_spec
from medzoo.transforms import prepare_batch


class InputAdapter(nn.Module):
    """A model, and the way from batches that were prepared for another one to its own.

    Args:
        model: The model.
        own: What it expects of its input.
        shared: What batches are prepared for.
    """

    scale: Tensor | None
    bias: Tensor | None

    def __init__(self, model: nn.Module, own: InputSpec, shared: InputSpec) -> None:
        super().__init__()
        self.model = model
        self.own = own
        self.shared = shared
        # Size and channels are adapted as those of any image: from 8-bit pixels.
        self.restarts = (own.size, own.channels) != (shared.size, shared.channels)
        factors: tuple[Tensor | None, Tensor | None] = (None, None)
        if self.restarts or (own.mean, own.std) != (shared.mean, shared.std):
            mean, std = _columns(shared)
            # To 8-bit pixels, if the transform has to start again; else to its normalisation.
            to_mean, to_std = (0.0, 1 / 255) if self.restarts else _columns(own)
            factors = ((std / to_std).float(), ((mean - to_mean) / to_std).float())
        # Buffers, to move to other devices with the model; not part of the weights, since they
        # follow from the two inputs.
        home = next((parameter.device for parameter in model.parameters()), None)
        for name, factor in zip(("scale", "bias"), factors, strict=True):
            moved = factor if factor is None else factor.to(home)
            self.register_buffer(name, moved, persistent=False)

    @property
    def temperature(self) -> float:
        """What the model's logits are divided by; 1.0 for a model without a spec."""
        spec = find_spec(self.model)
        return spec.temperature if spec else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch prepared for `shared`, (N, C, H, W), to the model's calibrated logits."""
        if self.scale is not None and self.bias is not None:
            x = torch.addcmul(self.bias, x, self.scale)
        if self.restarts:
            x = prepare_batch(x.round().clamp(0, 255).to(torch.uint8), self.own)
        return self.model(in_precision_of(self.model, x)) / self.temperature

    def extra_repr(self) -> str:
        """What the tensors do not show, for people and for the cache of compiled models."""
        return f"{self.own}, temperature={self.temperature!r}"


def _columns(expected: InputSpec) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, float64 (C, 1, 1)."""
    values = torch.tensor([expected.mean, expected.std], dtype=torch.float64)
    mean, std = values[..., None, None]
    return mean, std
