"""Fitting timm's networks, made for 224 x 224 images, to small ones."""

from __future__ import annotations

import torch
from timm.layers import PatchEmbed
from torch import nn


@torch.no_grad()
def use_small_stem(model: nn.Module) -> None:
    """Keep a network's stem from shrinking the image, in place.

    The first convolution gets stride 1, and a kernel of 3 x 3 (the centre of the former one,
    so that trained weights keep their meaning) if it was larger and odd; the max-pool of a
    ResNet-style stem goes. This is what MedMNIST's own ResNets do at 28 x 28. A network without
    a first convolution (a transformer's patch embedding) stays as it is.

    Args:
        model: A model of timm's, whose `pretrained_cfg` names the first convolution.
    """
    name = (getattr(model, "pretrained_cfg", None) or {}).get("first_conv")
    modules = dict(model.named_modules())
    conv = modules.get(name) if isinstance(name, str) else None
    if not isinstance(name, str) or not isinstance(conv, nn.Conv2d):
        return
    if "patch_embed" in name or isinstance(modules[name.rpartition(".")[0]], PatchEmbed):
        return
    conv.stride = (1, 1)
    kernel = conv.kernel_size[0]
    if kernel > 3 and kernel % 2 == 1:
        margin = (kernel - 3) // 2
        centre = conv.weight[:, :, margin : margin + 3, margin : margin + 3].clone()
        conv.weight = nn.Parameter(centre)
        conv.kernel_size, conv.padding = (3, 3), (1, 1)
    if isinstance(getattr(model, "maxpool", None), nn.Module):
        model.maxpool = nn.Identity()
