"""EfficientNet for small images: MBConv blocks with a correct squeeze-and-excitation gate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from timm.layers import ClassifierHead, ConvNormAct, calculate_drop_path_rates
from timm.models import register_model
from timm.models._efficientnet_blocks import EdgeResidual, InvertedResidual, SqueezeExcite
from torch import nn

from medzoo.models._base import ImageClassifier, pyramid_levels
from medzoo.models._build import build, small_image_cfg
from medzoo.models._pretrained import published_cfgs


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
        expansion: Expansion of each block's channels, in each stage.
        fused_stages: How many stages, from the first, use fused blocks.
        head_width: Channels of the 1x1 convolution before the pooling.
        act_layer: timm's name of the activation.
        global_pool: timm's name of the pooling before the classifier.
        drop_rate: Dropout before the classifier, in [0, 1).
        drop_path_rate: Stochastic depth of the last block, growing linearly from 0.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 3,
        widths: Sequence[int] = (48, 96, 128, 192),
        depths: Sequence[int] = (1, 2, 3, 4),
        strides: Sequence[int] = (1, 2, 1, 1),
        expansion: Sequence[float] = (2, 4, 4, 4),
        fused_stages: int = 2,
        head_width: int = 640,
        act_layer: str = "relu",
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__(num_classes, num_features=head_width)
        self.stem = ConvNormAct(in_chans, widths[0], 3, 2, act_layer=act_layer)
        rates = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        stages, in_chs = [], widths[0]
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            # The gate's bottleneck is a quarter of the block's input, as in EfficientNet.
            gate = partial(SqueezeExcite, rd_ratio=0.25 / expansion[index])
            block = (
                EdgeResidual if index < fused_stages else partial(InvertedResidual, se_layer=gate)
            )
            blocks = []
            for position in range(depth):
                blocks.append(
                    block(
                        in_chs,
                        width,
                        stride=strides[index] if position == 0 else 1,
                        exp_ratio=expansion[index],
                        act_layer=act_layer,
                        drop_path_rate=rates[index][position],
                    )
                )
                in_chs = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.feature_info = pyramid_levels(widths, strides, stem_stride=2)
        self.final = ConvNormAct(in_chs, head_width, 1, act_layer=act_layer)
        self.head = ClassifierHead(head_width, num_classes, global_pool, drop_rate)


default_cfgs = {
    "medzoo_efficientnet": published_cfgs(
        "medzoo_efficientnet", small_image_cfg(first_conv="stem.conv")
    )
}


@register_model
def medzoo_efficientnet(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """EfficientNet for small images, 2.45 M parameters."""
    return build(EfficientNet, "medzoo_efficientnet", pretrained, **kwargs)
