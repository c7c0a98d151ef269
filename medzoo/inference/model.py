"""What evaluation takes for a model: anything that maps a batch to logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

Model = Callable[[Tensor], Any]
"""Anything that maps a float batch (N, C, H, W) to logits (N, K); usually an `nn.Module`."""


def logits_of(model: Model, batch: Tensor) -> Tensor:
    """Run a model over one prepared batch.

    Args:
        model: Any callable from a float batch to logits.
        batch: Float (N, C, H, W), prepared as the model expects it.

    Returns:
        Logits (N, K).

    Raises:
        ValueError: If the model's output is not one row of logits per image.
    """
    output = model(batch)
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(batch):
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"the model gave {found} for a batch of {len(batch)} images; "
            f"expected a tensor of logits ({len(batch)}, classes)"
        )
    return output
