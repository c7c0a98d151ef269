"""Adapting timm's networks, which are made for 224 x 224 images, to small ones."""

from __future__ import annotations

import torch
from timm.layers import PatchEmbed
from torch import nn


def stem_of(model: nn.Module) -> nn.Conv2d | None:
    """Return the first convolution of a timm network, if there is one that can be made smaller.

    The patch embedding of a transformer is left alone: its stride is the size of the patches.

    Args:
        model: A timm model, whose `pretrained_cfg` names the first convolution.
    """
    name = (getattr(model, "pretrained_cfg", None) or {}).get("first_conv")
    modules = dict(model.named_modules())
    conv = modules.get(name) if isinstance(name, str) else None
    if not isinstance(name, str) or not isinstance(conv, nn.Conv2d):
        return None
    if "patch_embed" in name or isinstance(modules[name.rpartition(".")[0]], PatchEmbed):
        return None
    return conv


@torch.no_grad()
def use_small_stem(model: nn.Module) -> None:
    """Change a network's stem, in place, so that it does not shrink the image.

    The first convolution gets stride 1 and, if its kernel was larger and odd, a 3 x 3 kernel: the
    centre of the original one, so that trained weights stay useful. The max-pool of a ResNet-style
    stem is removed. MedMNIST's own ResNets do the same at 28 x 28. A network without a first
    convolution (one with a patch embedding) is not changed. `feature_info` gives the new
    reductions.

    Args:
        model: A timm model, whose `pretrained_cfg` names the first convolution.
    """
    conv = stem_of(model)
    if conv is None:
        return
    names = [name for name, _ in model.named_modules()]
    shrinkage = conv.stride[0]
    conv.stride = (1, 1)
    kernel = conv.kernel_size[0]
    if kernel > 3 and kernel % 2 == 1:
        margin = (kernel - 3) // 2
        centre = conv.weight[:, :, margin : margin + 3, margin : margin + 3].clone()
        conv.weight = nn.Parameter(centre)
        conv.kernel_size, conv.padding = (3, 3), (1, 1)
    pooled: list[str] = []
    if isinstance(getattr(model, "maxpool", None), nn.Module):
        pooled = names[names.index("maxpool") :]
        model.maxpool = nn.Identity()
    for level in getattr(model, "feature_info", ()):
        level["reduction"] //= shrinkage * (2 if level["module"] in pooled else 1)
