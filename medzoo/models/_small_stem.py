"""Fitting timm's networks, made for 224 x 224 images, to small ones."""

from __future__ import annotations

import torch
from timm.layers import PatchEmbed
from torch import nn


def stem_of(model: nn.Module) -> nn.Conv2d | None:
    """Return the first convolution of one of timm's networks, if it has one that can be smaller.

    A transformer's patch embedding is none: its stride is the size of its tokens.

    Args:
        model: A model of timm's, whose `pretrained_cfg` names the first convolution.
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
    """Keep a network's stem from shrinking the image, in place.

    The first convolution gets stride 1, and a kernel of 3 x 3 (the centre of the former one,
    so that trained weights keep their meaning) if it was larger and odd; the max-pool of a
    ResNet-style stem goes. This is what MedMNIST's own ResNets do at 28 x 28. A network without
    a first convolution (a transformer's patch embedding) stays as it is. `feature_info` tells the
    new reductions.

    Args:
        model: A model of timm's, whose `pretrained_cfg` names the first convolution.
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
