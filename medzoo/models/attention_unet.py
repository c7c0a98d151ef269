"""Attention U-Net classifier: a U-Net whose skips pass attention gates, pooled into logits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from timm.models import register_model
from torch import Tensor, nn

from medzoo.models._base import Head, ImageClassifier, pyramid_levels
from medzoo.models._build import build, small_image_cfg
from medzoo.models._pretrained import published_cfgs
from medzoo.models._stages import check_kernel, check_positive, per_stage


class AttentionGate(nn.Module):
    """Additive attention gate: the coarse map decides where the skip's map may pass.

    Attention U-Net (Oktay et al., 2018), with the gating signal already resampled to the skip's
    resolution.
    """

    def __init__(self, skip_chs: int, gate_chs: int) -> None:
        super().__init__()
        hidden = skip_chs // 2
        self.skip = ConvNormAct(skip_chs, hidden, 1, apply_act=False)
        self.gate = ConvNormAct(gate_chs, hidden, 1, apply_act=False)
        self.score = nn.Conv2d(hidden, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """Scale `skip` (N, skip_chs, H, W) by a map in (0, 1) made from it and `gate`."""
        return skip * self.score(F.relu(self.skip(skip) + self.gate(gate))).sigmoid()


class DecoderBlock(nn.Module):
    """Resample the coarse map to the skip's size, gate the skip, merge both."""

    def __init__(self, coarse_chs: int, skip_chs: int, depth: int, kernel_size: int) -> None:
        super().__init__()
        self.gate = AttentionGate(skip_chs, coarse_chs)
        self.merge = conv_unit(coarse_chs + skip_chs, skip_chs, depth, kernel_size)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Map (N, coarse_chs, h, w) and (N, skip_chs, H, W) to (N, skip_chs, H, W)."""
        coarse = F.interpolate(coarse, size=skip.shape[-2:], mode="nearest")
        return self.merge(torch.cat([coarse, self.gate(skip, coarse)], dim=1))


def conv_unit(
    in_chs: int, out_chs: int, depth: int, kernel_size: int, stride: int = 1
) -> nn.Sequential:
    """Convolutions in a row, the unit of a U-Net: two of 3x3 in Ronneberger et al., 2015."""
    first = ConvNormAct(in_chs, out_chs, kernel_size, stride)
    others = [ConvNormAct(out_chs, out_chs, kernel_size) for _ in range(depth - 1)]
    return nn.Sequential(first, *others)


class AttentionUNet(ImageClassifier):
    """A U-Net with gated skips as a classifier, 1.99 M parameters.

    The encoder halves the resolution three times, the decoder comes back to the stem's, and a
    1x1 convolution widens its map for the classifier. `features_only` gives the encoder's maps.

    Args:
        num_classes: Number of logits.
        in_chans: Channels of the images.
        widths: Channels at each resolution, from fine to coarse.
        head_width: Channels that reach the pooling.
        global_pool: timm's name of the pooling before the classifier.
        drop_rate: Dropout before the classifier, in [0, 1).
        depth: Convolutions at each resolution, in the encoder and in the decoder.
        kernel_size: Their side, odd.
        stem_stride: Stride of the first convolution.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a number is not positive, or the kernel's side is even.
    """

    def __init__(
        self,
        num_classes: int = 14,
        in_chans: int = 3,
        widths: Sequence[int] = (32, 64, 128, 256),
        head_width: int = 256,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        depth: int = 2,
        kernel_size: int = 3,
        stem_stride: int = 1,
    ) -> None:
        widths = per_stage("widths", widths)
        check_positive("head_width", head_width)
        check_positive("depth", depth)
        check_kernel("kernel_size", kernel_size)
        check_positive("stem_stride", stem_stride)
        super().__init__(num_classes, num_features=head_width)
        self.stem = conv_unit(in_chans, widths[0], depth, kernel_size, stem_stride)
        stages = []
        for fine, coarse in pairwise(widths):
            pool = nn.MaxPool2d(2, ceil_mode=True)
            stages.append(nn.Sequential(pool, conv_unit(fine, coarse, depth, kernel_size)))
        self.stages = nn.Sequential(*stages)
        self.feature_info = pyramid_levels(widths[1:], [2] * len(stages), stem_stride)
        self.decoder = nn.ModuleList(
            DecoderBlock(coarse, fine, depth, kernel_size)
            for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.final = ConvNormAct(widths[0], head_width, 1)
        self.head = Head(head_width, num_classes, global_pool, drop_rate)
        self.head_hidden_size = self.head.num_features

    def combine_maps(self, maps: list[Tensor]) -> Tensor:
        """Decode from the coarsest map, one gated skip at a time.

        Args:
            maps: The stem's map and each stage's, (N, channels, h, w) each.
        """
        x = maps[-1]
        for index, block in enumerate(self.decoder):  # as TorchScript understands it
            if self.grad_checkpointing and not torch.jit.is_scripting():
                x = self.checkpointed(block, x, maps[-2 - index])
            else:
                x = block(x, maps[-2 - index])
        return self.final(x)


default_cfgs = {
    "medzoo_attention_unet": published_cfgs(
        "medzoo_attention_unet", small_image_cfg(first_conv="stem.0.conv", num_classes=14)
    )
}


@register_model
def medzoo_attention_unet(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Attention U-Net classifier, 2 M parameters."""
    return build(AttentionUNet, "medzoo_attention_unet", pretrained, **kwargs)
