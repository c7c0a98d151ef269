"""Advanced CNN: pre-activation residual blocks with attention gates, for small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import (
    BatchNormAct2d,
    DropPath,
    calculate_drop_path_rates,
)
from timm.models import register_model
from torch import Tensor, nn

from medzoo.models._base import Head, ImageClassifier, pyramid_levels
from medzoo.models._build import build, small_image_cfg
from medzoo.models._pretrained import published_cfgs
from medzoo.models._stages import (
    check_factor,
    check_kernel,
    check_positive,
    check_rate,
    create_gate,
    per_stage,
)


class PreActBlock(nn.Module):
    """Pre-activation residual block whose branch ends in an attention gate.

    Identity mappings in deep residual networks (He et al., 2016), with squeeze-and-excitation
    (Hu et al., 2018) or another of timm's channel gates on the branch.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        stride: int,
        attention: str,
        drop_path: float,
        kernel_size: int = 3,
        expansion: float = 1.0,
    ) -> None:
        super().__init__()
        hidden, padding = max(1, round(out_chs * expansion)), kernel_size // 2
        self.norm1 = BatchNormAct2d(in_chs)
        self.conv1 = nn.Conv2d(in_chs, hidden, kernel_size, stride, padding, bias=False)
        self.norm2 = BatchNormAct2d(hidden)
        self.conv2 = nn.Conv2d(hidden, out_chs, kernel_size, 1, padding, bias=False)
        self.attention = create_gate(attention, out_chs)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        if stride == 1 and in_chs == out_chs:
            self.shortcut: nn.Module | None = None
        else:
            # Averaging before the projection uses all pixels; a strided 1x1 would drop 3 of 4.
            pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
            self.shortcut = nn.Sequential(
                pool if stride > 1 else nn.Identity(), nn.Conv2d(in_chs, out_chs, 1, bias=False)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_chs, H, W) to (N, out_chs, H / stride, W / stride)."""
        pre = self.norm1(x)
        shortcut = x if self.shortcut is None else self.shortcut(pre)
        branch = self.conv2(self.norm2(self.conv1(pre)))
        return shortcut + self.drop_path(self.attention(branch))


class AdvancedCNN(ImageClassifier):
    """A residual network of 5.06 M parameters, designed for 28 x 28 images.

    The 3x3 stem halves the resolution once, one stage halves it again, and all other blocks keep
    it: at 28 x 28 the wide stages still see 7 x 7 positions.

    Args:
        num_classes: Number of logits.
        in_chans: Channels of the images.
        widths: Channels of each stage.
        depths: Blocks of each stage.
        strides: Stride of each stage's first block.
        attention: timm's name of the gate on each block (``"se"``, ``"eca"``, ``"cbam"``, ...), or
            ``""`` for none.
        global_pool: timm's name of the pooling before the classifier.
        drop_rate: Dropout before the classifier, in [0, 1).
        drop_path_rate: Stochastic depth of the last block, in [0, 1), growing linearly from 0.
        kernel_size: Side of the convolutions, odd: a number, or one for each stage.
        expansion: Channels between the two convolutions of a block, as a multiple of its width: a
            number, or one for each stage.
        stem_stride: Stride of the first convolution.
        stem_kernel_size: Its side, odd.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a number is not positive, arguments differ in their number of stages, or the
            gate is unknown.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 3,
        widths: Sequence[int] = (64, 128, 256, 384),
        depths: Sequence[int] = (1, 2, 2, 1),
        strides: Sequence[int] = (1, 2, 1, 1),
        attention: str = "se",
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        kernel_size: int | Sequence[int] = 3,
        expansion: float | Sequence[float] = 1.0,
        stem_stride: int = 2,
        stem_kernel_size: int = 3,
    ) -> None:
        widths = per_stage("widths", widths)
        depths = per_stage("depths", depths, len(widths))
        strides = per_stage("strides", strides, len(widths))
        kernels = per_stage("kernel_size", kernel_size, len(widths), check_kernel)
        factors = per_stage("expansion", expansion, len(widths), check_factor)
        check_positive("stem_stride", stem_stride)
        check_kernel("stem_kernel_size", stem_kernel_size)
        check_rate("drop_path_rate", drop_path_rate)
        super().__init__(num_classes, num_features=widths[-1])
        padding = stem_kernel_size // 2
        self.stem = nn.Conv2d(
            in_chans, widths[0], stem_kernel_size, stem_stride, padding, bias=False
        )
        rates = calculate_drop_path_rates(drop_path_rate, depths, stagewise=True)
        stages, in_chs = [], widths[0]
        for index, width in enumerate(widths):
            blocks = []
            for position in range(depths[index]):
                stride = strides[index] if position == 0 else 1
                kernel, factor, rate = kernels[index], factors[index], rates[index][position]
                blocks.append(PreActBlock(in_chs, width, stride, attention, rate, kernel, factor))
                in_chs = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.feature_info = pyramid_levels(widths, strides, stem_stride)
        self.final = BatchNormAct2d(in_chs)
        self.head = Head(in_chs, num_classes, global_pool, drop_rate)
        self.head_hidden_size = self.head.num_features
        self.apply(_initialise)


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


default_cfgs = {
    "medzoo_advanced_cnn": published_cfgs("medzoo_advanced_cnn", small_image_cfg(first_conv="stem"))
}


@register_model
def medzoo_advanced_cnn(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Advanced CNN, 5.06 M parameters."""
    return build(AdvancedCNN, "medzoo_advanced_cnn", pretrained, **kwargs)
