"""EfficientNet for small images: MBConv blocks with a correct squeeze-and-excitation gate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from timm.layers import ConvNormAct, calculate_drop_path_rates
from timm.models import register_model
from timm.models._efficientnet_blocks import EdgeResidual, InvertedResidual, SqueezeExcite
from torch import nn

from medzoo.models._base import Head, ImageClassifier, pyramid_levels
from medzoo.models._build import build, small_image_cfg
from medzoo.models._pretrained import published_cfgs
from medzoo.models._stages import (
    check_activation,
    check_factor,
    check_kernel,
    check_positive,
    check_rate,
    create_gate,
    per_stage,
)
from medzoo.spec.checks import check_whole


class EfficientNet(ImageClassifier):
    """MBConv network of 2.45 M parameters, designed for 28 x 28 images.

    The first two stages fuse expansion and depthwise convolution into one dense 3x3 convolution,
    as EfficientNetV2 does (Tan and Le, 2021): depthwise convolutions on large maps are bound by
    memory. The other stages, with seven of the ten blocks, are MBConv (Tan and Le, 2019): 1x1
    expansion, depthwise 3x3, a gate that *multiplies*, 1x1 projection, and a residual path
    wherever shapes allow.

    Args:
        num_classes: Number of logits.
        in_chans: Channels of the images.
        widths: Channels of each stage.
        depths: Blocks of each stage.
        strides: Stride of each stage's first block.
        expansion: Expansion of each block's channels: a number, or one for each stage.
        fused_stages: How many stages, from the first, use fused blocks, which have no gate.
        head_width: Channels of the 1x1 convolution before the pooling.
        act_layer: timm's name of the activation.
        global_pool: timm's name of the pooling before the classifier.
        drop_rate: Dropout before the classifier, in [0, 1).
        drop_path_rate: Stochastic depth of the last block, in [0, 1), growing linearly from 0.
        attention: timm's name of the gate in MBConv blocks (``"se"``, ``"eca"``, ``"cbam"``, ...),
            or ``""`` for none.
        kernel_size: Side of the depthwise convolutions, in fused blocks of the dense ones, odd: a
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
        widths: Sequence[int] = (48, 96, 128, 192),
        depths: Sequence[int] = (1, 2, 3, 4),
        strides: Sequence[int] = (1, 2, 1, 1),
        expansion: float | Sequence[float] = (2, 4, 4, 4),
        fused_stages: int = 2,
        head_width: int = 640,
        act_layer: str = "relu",
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        attention: str = "se",
        kernel_size: int | Sequence[int] = 3,
        stem_stride: int = 2,
        stem_kernel_size: int = 3,
    ) -> None:
        widths = per_stage("widths", widths)
        depths = per_stage("depths", depths, len(widths))
        strides = per_stage("strides", strides, len(widths))
        kernels = per_stage("kernel_size", kernel_size, len(widths), check_kernel)
        factors = per_stage("expansion", expansion, len(widths), check_factor)
        check_whole("fused_stages", fused_stages, 0, len(widths))
        check_positive("head_width", head_width)
        check_activation(act_layer)
        check_rate("drop_path_rate", drop_path_rate)
        check_positive("stem_stride", stem_stride)
        check_kernel("stem_kernel_size", stem_kernel_size)
        super().__init__(num_classes, num_features=head_width)
        self.stem = ConvNormAct(
            in_chans, widths[0], stem_kernel_size, stem_stride, act_layer=act_layer
        )
        rates = calculate_drop_path_rates(drop_path_rate, depths, stagewise=True)
        stages, in_chs = [], widths[0]
        for index, width in enumerate(widths):
            block = (
                EdgeResidual
                if index < fused_stages
                else partial(InvertedResidual, se_layer=partial(_gate, attention, factors[index]))
            )
            blocks = []
            for position in range(depths[index]):
                blocks.append(
                    block(
                        in_chs,
                        width,
                        kernels[index],
                        stride=strides[index] if position == 0 else 1,
                        exp_ratio=factors[index],
                        act_layer=act_layer,
                        drop_path_rate=rates[index][position],
                    )
                )
                in_chs = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.feature_info = pyramid_levels(widths, strides, stem_stride)
        self.final = ConvNormAct(in_chs, head_width, 1, act_layer=act_layer)
        self.head = Head(head_width, num_classes, global_pool, drop_rate)
        self.head_hidden_size = self.head.num_features


def _gate(attention: str, expansion: float, channels: int, **layer: Any) -> nn.Module:
    """Make the gate of an MBConv block, whose input has been expanded to `channels`.

    timm gives activation, device and dtype as `layer`.
    """
    if attention != "se":
        return create_gate(attention, channels)
    # Its bottleneck is a quarter of the block's input, as in EfficientNet.
    return SqueezeExcite(channels, rd_ratio=0.25 / expansion, **layer)


default_cfgs = {
    "medzoo_efficientnet": published_cfgs(
        "medzoo_efficientnet", small_image_cfg(first_conv="stem.conv")
    )
}


@register_model
def medzoo_efficientnet(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """EfficientNet for small images, 2.45 M parameters."""
    return build(EfficientNet, "medzoo_efficientnet", pretrained, **kwargs)
