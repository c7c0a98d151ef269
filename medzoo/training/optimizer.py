"""timm's optimisers, in an arithmetic that the device is good at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import timm.optim.muon as timm_muon
import torch
from timm.optim import create_optimizer_v2, list_optimizers
from torch import Tensor, nn

from medzoo.device import has_fast_bfloat16
from medzoo.errors import unknown_name
from medzoo.training.freeze import layers_of


def create_optimizer(
    model: nn.Module,
    name: str,
    *,
    learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    device: torch.device,
) -> torch.optim.Optimizer:
    """Make one of timm's optimisers, without decay of biases and norms.

    Args:
        model: What it trains; frozen parameters are left out.
        name: timm's name of the optimiser.
        learning_rate: Peak learning rate.
        weight_decay: Decay of convolution and linear weights.
        layer_decay: Factor on the learning rate from one layer to the one before, in (0, 1].
        device: Where the model is.

    Raises:
        ValueError: If the rate is to decay by layer, but the model does not tell its layers.
    """
    by_layer = layer_decay < 1
    if by_layer:
        layers_of(model, "layer_decay")
    optimizer = create_optimizer_v2(
        model,
        name,
        lr=learning_rate,
        weight_decay=weight_decay,
        layer_decay=layer_decay if by_layer else None,
    )
    if "muon" in name and not has_fast_bfloat16(device):
        _orthogonalise_in_float32(optimizer)
    return optimizer


def _orthogonalise_in_float32(optimizer: torch.optim.Optimizer) -> None:
    """Let Muon's Newton-Schulz iteration run in float32, for the time of each step.

    timm's is always in bfloat16, which is a matter of speed, not of the method. Where bfloat16 is
    emulated the products become so slow that a step takes longer than the network.
    """
    original = timm_muon.zeropower_via_newtonschulz

    def use(function: Any) -> Any:
        def hook(*_: Any) -> None:
            timm_muon.zeropower_via_newtonschulz = function

        return hook

    optimizer.register_step_pre_hook(use(partial(orthogonalise, original)))
    optimizer.register_step_post_hook(use(original))


def orthogonalise(
    original: Callable[..., Tensor],
    gradient: Tensor,
    steps: int,
    coefficients: Sequence[tuple[float, float, float]],
    eps: float = timm_muon.MUON_EPS,
    safety_factor: float = 1.0,
    **options: Any,
) -> Tensor:
    """Compute timm's Newton-Schulz iteration in float32, with small matrices where it can be.

    Each iteration multiplies X by a polynomial of its Gram matrix, and those all commute. So the
    product of the polynomials can be had from the Gram matrix alone and be applied once: for the
    weights of 3x3 convolutions, nine times as wide as high, with less than half the arithmetic.

    Args:
        original: timm's function, for matrices that are nearly square.
        gradient: (M, N).
        steps: Number of iterations.
        coefficients: (a, b, c) of each; the last one repeats.
        eps: Least norm to divide by.
        safety_factor: By which the norm is taken as larger.
        **options: timm's other arguments.

    Returns:
        float32 (M, N), nearly orthogonal.
    """
    low, high = sorted(gradient.shape[-2:])
    if gradient.ndim != 2 or high < 3 * low or options.get("scale_eps"):
        options |= {"eps": eps, "safety_factor": safety_factor, "dtype": torch.float32}
        return original(gradient, steps, coefficients, **options)
    wide = gradient if len(gradient) == low else gradient.mT
    x = wide.float() / (wide.float().norm() * safety_factor).clamp(min=eps)
    gram, total = x @ x.mT, None
    for step in range(steps):
        a, b, c = coefficients[min(step, len(coefficients) - 1)]
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        total = factor if total is None else factor @ total
        if step < steps - 1:
            gram = factor @ gram @ factor
    result = x if total is None else total @ x
    return result if wide is gradient else result.mT


_LOOKAHEAD = "lookahead_"  # timm wraps any of its optimisers in Lookahead when its name says so
_UNUSABLE = {
    "adahessian": "needs second derivatives, which the Trainer does not compute",
    "kron": "keeps random numbers and lists that a checkpoint cannot hold",
    "fused": "comes from NVIDIA's apex, which medzoo does not support",
    "bnb": "comes from bitsandbytes, which medzoo does not support",
}
"""Reasons, by what names begin with."""


def check_optimizer(name: object) -> None:
    """Refuse an optimiser that does not exist, or that a run could not end or be resumed with.

    Args:
        name: timm's name of it.

    Raises:
        ValueError: If it is refused.
    """
    known = list_optimizers()
    plain = str(name).removeprefix(_LOOKAHEAD)
    reasons = [reason for start, reason in _UNUSABLE.items() if plain.startswith(start)]
    if plain in known and not reasons:
        return
    usable = [one for one in known if not one.startswith(tuple(_UNUSABLE))]
    if not reasons:
        raise unknown_name("optimizer", name, usable)
    raise ValueError(
        f"Recipe.optimizer={name!r} cannot be used: it {reasons[0]}; use one without, e.g. 'adamw', "
        "'muon' or 'sgd'"
    )
