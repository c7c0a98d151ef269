"""medzoo's backbones as encoders of segmentation_models_pytorch, which finds them through timm."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch

from medzoo.models import create_model, list_models
from tests.models.conftest import noise

TAGS = list_models(pretrained=True)


@pytest.mark.parametrize("tag", TAGS)
@torch.inference_mode()
def test_a_published_backbone_is_an_encoder(tag):
    backbone = create_model(tag, pretrained=True, in_chans=3, features_only=True)
    depth = int(math.log2(max(backbone.feature_info.reduction())))
    net = smp.Unet(
        f"tu-medzoo_{tag}",
        encoder_weights=True,
        encoder_depth=depth,
        decoder_channels=(8,) * depth,
        classes=2,
    ).eval()
    x = noise(1, 3, 64, 64)
    assert net(x).shape == (1, 2, 64, 64)
    # Networks for larger images have no map of half the size; the encoder then has an empty one.
    levels = [number for number, channels in enumerate(net.encoder.out_channels) if channels][1:]
    assert [net.encoder.out_channels[n] for n in levels] == backbone.feature_info.channels()
    maps = net.encoder(x)
    for found, expected in zip([maps[n] for n in levels], backbone(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_more_levels_by_more_strides():
    net = smp.Unet(
        "tu-medzoo_efficientnet.dermamnist",
        encoder_weights=True,
        encoder_depth=4,
        decoder_channels=(8, 8, 8, 8),
        strides=(1, 2, 2, 2),
    ).eval()
    trained = create_model("efficientnet.dermamnist", pretrained=True)
    assert torch.equal(net.encoder.model.model.stem.conv.weight, trained.stem.conv.weight)
    with torch.inference_mode():
        assert [f.shape[-1] for f in net.encoder(noise(1, 3, 64, 64))] == [64, 32, 16, 8, 4]


def test_gradients_reach_encoder_and_decoder():
    net = smp.Unet(
        "tu-medzoo_simple_cnn",
        encoder_weights=None,
        encoder_depth=2,
        decoder_channels=(8, 8),
        in_channels=1,
    )
    net(noise(2, 1, 32, 32)).mean().backward()
    assert net.encoder.model.model.stem.conv.weight.grad.any()
    assert all(p.grad is not None for p in net.decoder.parameters())


def test_too_deep_an_encoder_is_told_how_deep_it_can_be():
    with pytest.raises(ValueError, match="encoder_depth=2 at most"):
        smp.Unet("tu-medzoo_efficientnet.dermamnist", encoder_weights=True)
