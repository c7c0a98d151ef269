"""timm's optimisers, and which of them a run can use."""

from __future__ import annotations

import timm.optim
import torch
from timm.optim import create_optimizer_v2, list_optimizers
from torch import nn

from medzoo.device import has_fast_bfloat16
from medzoo.errors import unknown_name
from medzoo.training.optim.freeze import layers_of
from medzoo.training.optim.muon import Muon


def create_optimizer(
    model: nn.Module,
    name: str,
    *,
    learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    device: torch.device,
) -> torch.optim.Optimizer:
    """Create an optimiser by timm's name, without decay of biases and norms.

    Args:
        model: What it trains; frozen parameters are left out.
        name: timm's name of the optimiser. Muon is medzoo's own, in the precision that the device
            is fast at.
        learning_rate: Peak learning rate.
        weight_decay: Decay of convolution and linear weights.
        layer_decay: Factor on the learning rate from one layer to the one before, in (0, 1].
        device: Where the model is trained.

    Raises:
        ValueError: If the rate is to decay by layer, but the model does not say its layers.
    """
    by_layer = layer_decay < 1
    if by_layer:
        layers_of(model, "layer_decay")
    optimizer = create_optimizer_v2(
        model,
        name.removeprefix(_LOOKAHEAD),
        lr=learning_rate,
        weight_decay=weight_decay,
        layer_decay=layer_decay if by_layer else None,
    )
    if isinstance(optimizer, timm.optim.Muon):
        dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
        optimizer = Muon(optimizer.param_groups, dtype)
    return timm.optim.Lookahead(optimizer) if name.startswith(_LOOKAHEAD) else optimizer


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
        f"Recipe.optimizer={name!r} cannot be used: it {reasons[0]}; use another one, e.g. "
        "'adamw', 'muon' or 'sgd'"
    )
