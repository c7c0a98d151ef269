"""Networks whose batch norms are folded into the convolutions before them."""

from __future__ import annotations

import copy
from typing import Any

from timm.layers import BatchNormAct2d
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class _Tracer(fx.Tracer):
    """Takes timm's batch norms for layers, like PyTorch's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, BatchNormAct2d) or super().is_leaf_module(m, module_qualified_name)


def fold(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode in which each batch norm after a convolution is part of it.

    Args:
        model: A network of timm's layers. Batch norms that do not directly follow a convolution,
            like the first one of a pre-activation block, stay.
    """
    folded = copy.deepcopy(model).eval()
    layers: dict[Any, nn.Module] = dict(folded.named_modules())
    for node in _Tracer().trace(folded).nodes:
        norm = layers.get(node.target) if node.op == "call_module" else None
        before = node.args[0] if isinstance(norm, BatchNormAct2d) else None
        conv = layers.get(before.target) if isinstance(before, fx.Node) else None
        if not isinstance(norm, BatchNormAct2d) or not isinstance(conv, nn.Conv2d):
            continue
        if isinstance(before, fx.Node) and len(before.users) == 1:
            folded.set_submodule(str(before.target), fuse_conv_bn_eval(conv, norm))
            folded.set_submodule(str(node.target), nn.Sequential(norm.drop, norm.act))
    return folded
