"""What evaluation takes for a model: anything that maps a batch to logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from medzoo.models._classifier import check_prepared

Model = Callable[[Tensor], Any]
"""Anything that maps a float batch (N, C, H, W) to logits (N, K); usually an `nn.Module`."""


def logits_of(model: Model, batch: Tensor) -> Tensor:
    """Run a model over one prepared batch.

    Args:
        model: Any callable from a float batch to logits.
        batch: Float (N, C, H, W), prepared as the model expects it. A module gets it in the
            precision of its parameters (after ``model.half()``, for example).

    Returns:
        Logits (N, K).

    Raises:
        TypeError: If the batch is not of floats.
        ValueError: If the model's output is not one row of logits per image.
    """
    output = model(in_precision_of(model, batch))
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(batch):
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"the model gave {found} for a batch of {len(batch)} images; "
            f"expected a tensor of logits ({len(batch)}, classes)"
        )
    return output


def at_least_float32(values: Tensor) -> Tensor:
    """Widen values in half precision to float32; leave float64 as it is.

    Args:
        values: Floating-point values.
    """
    return values if values.dtype == torch.float64 else values.float()


def in_precision_of(model: Model, batch: Tensor) -> Tensor:
    """Return a batch in the precision of a module's parameters.

    Args:
        model: Any callable; only a module has a precision, that of its first floating-point
            parameter.
        batch: Float (N, C, H, W).

    Raises:
        TypeError: If it is not of floats or not dense, like images that were not prepared.
    """
    check_prepared(batch)
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            if parameter.dtype.is_floating_point:
                # 8-bit floats hold weights only; nothing computes in them.
                return batch.to(parameter.dtype) if torch.finfo(parameter.dtype).bits > 8 else batch
    return batch
