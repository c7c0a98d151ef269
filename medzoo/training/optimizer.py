"""timm's optimisers, in an arithmetic that the device is good at."""

from __future__ import annotations

from functools import partial
from typing import Any

import timm.optim.muon as timm_muon
import torch
from timm.optim import create_optimizer_v2
from torch import nn

from medzoo.device import has_fast_bfloat16
from medzoo.training.recipe import Recipe


def create_optimizer(
    model: nn.Module, recipe: Recipe, device: torch.device
) -> torch.optim.Optimizer:
    """Make the optimiser that a recipe names, without decay of biases and norms.

    Args:
        model: What it trains.
        recipe: Its name, learning rate and weight decay.
        device: Where the model is.
    """
    optimizer = create_optimizer_v2(
        model, recipe.optimizer, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    if "muon" in recipe.optimizer and not has_fast_bfloat16(device):
        _orthogonalise_in_float32(optimizer)
    return optimizer


def _orthogonalise_in_float32(optimizer: torch.optim.Optimizer) -> None:
    """Let Muon's Newton-Schulz iteration run in float32, for the time of each step.

    timm's is always in bfloat16, which is a matter of speed, not of the method. Where bfloat16 is
    emulated the products become so slow that a step takes longer than the network.
    """
    original = timm_muon.zeropower_via_newtonschulz
    in_float32 = partial(original, dtype=torch.float32)

    def use(function: Any) -> Any:
        def hook(*_: Any) -> None:
            timm_muon.zeropower_via_newtonschulz = function

        return hook

    optimizer.register_step_pre_hook(use(in_float32))
    optimizer.register_step_post_hook(use(original))
