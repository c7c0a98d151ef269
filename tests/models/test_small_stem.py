"""The stem for small images: what it changes, and what `feature_info` says of it."""

import pytest
import torch
from torch import nn

from medzoo.models import create_model
from medzoo.models._timm import stem_of, use_small_stem
from tests.models.conftest import noise


@pytest.mark.parametrize("name", ["resnet18", "resnet18d", "mobilenetv3_small_050", "regnetx_002"])
@torch.no_grad()
def test_feature_info_tells_the_reductions_of_the_smaller_stem(name):
    backbone = create_model(f"timm/{name}", in_chans=3, features_only=True).eval()
    sides = [feature.shape[-1] for feature in backbone(noise(1, 3, 64, 64))]
    assert [64 // side for side in sides] == backbone.feature_info.reduction()
    assert sides[0] == 64


def test_a_classifier_tells_them_too():
    whole = create_model("timm/resnet18", num_classes=2, in_chans=1)
    backbone = create_model("timm/resnet18", in_chans=1, features_only=True)
    reductions = [level["reduction"] for level in whole.feature_info]
    assert reductions == backbone.feature_info.reduction() == [1, 1, 2, 4, 8]


def test_a_larger_image_keeps_the_stem_and_its_reductions():
    backbone = create_model("timm/resnet18", in_chans=3, size=128, features_only=True)
    assert backbone.feature_info.reduction() == [2, 4, 8, 16, 32]


def test_a_network_without_a_first_convolution_stays_as_it_is():
    class Network(nn.Module):
        pretrained_cfg = {"first_conv": "missing"}  # noqa: RUF012
        maxpool = None

    assert stem_of(Network()) is None
    use_small_stem(Network())
