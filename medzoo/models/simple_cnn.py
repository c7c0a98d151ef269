"""Simple CNN: the plain baseline, convolutions and max-pooling only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from timm.layers import ConvNormAct
from timm.models import register_model
from torch import nn

from medzoo.models._base import Head, ImageClassifier, pyramid_levels
from medzoo.models._build import build, small_image_cfg
from medzoo.models._pretrained import published_cfgs
from medzoo.models._stages import check_kernel, check_positive, per_stage


class SimpleCNN(ImageClassifier):
    """Five 3x3 convolutions with batch normalisation and two max-pools, 1.1 M parameters.

    One convolution at full resolution, then two at each half of it.

    Args:
        num_classes: Number of logits.
        in_chans: Channels of the images.
        widths: Channels at each resolution, from fine to coarse.
        global_pool: timm's name of the pooling before the classifier.
        drop_rate: Dropout before the classifier, in [0, 1).
        depth: Convolutions at each resolution but the first.
        kernel_size: Side of all convolutions, odd.
        stem_stride: Stride of the first convolution.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a number is not positive, or the kernel's side is even.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 3,
        widths: Sequence[int] = (56, 128, 256),
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        depth: int = 2,
        kernel_size: int = 3,
        stem_stride: int = 1,
    ) -> None:
        widths = per_stage("widths", widths)
        check_positive("depth", depth)
        check_kernel("kernel_size", kernel_size)
        check_positive("stem_stride", stem_stride)
        super().__init__(num_classes, num_features=widths[-1])
        self.stem = ConvNormAct(in_chans, widths[0], kernel_size, stem_stride)
        stages = []
        for in_chs, out_chs in pairwise(widths):
            convs = [
                ConvNormAct(in_chs if index == 0 else out_chs, out_chs, kernel_size)
                for index in range(depth)
            ]
            stages.append(nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), *convs))
        self.stages = nn.Sequential(*stages)
        self.feature_info = pyramid_levels(widths[1:], [2] * len(stages), stem_stride)
        self.final = nn.Identity()
        self.head = Head(widths[-1], num_classes, global_pool, drop_rate)
        self.head_hidden_size = self.head.num_features


default_cfgs = {
    "medzoo_simple_cnn": published_cfgs(
        "medzoo_simple_cnn", small_image_cfg(first_conv="stem.conv")
    )
}


@register_model
def medzoo_simple_cnn(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Simple CNN, 1.1 M parameters."""
    return build(SimpleCNN, "medzoo_simple_cnn", pretrained, **kwargs)
