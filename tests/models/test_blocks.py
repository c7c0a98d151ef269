"""Blocks keep what they must: gates scale, they never replace."""

import pytest
import torch
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite

from medzoo.models.advanced_cnn import AdvancedCNN, PreActBlock
from medzoo.models.attention_unet import AttentionGate
from tests.models.conftest import noise, untrained


@torch.no_grad()
@pytest.mark.parametrize("name", ["advanced_cnn", "efficientnet"])
def test_every_block_keeps_spatial_positions(name):
    # A pooled gate that replaces the map instead of scaling it makes all positions alike.
    x = untrained(name).stem(noise(1, 3, 28, 28))
    for stage in untrained(name).stages:
        for block in stage:
            x = block(x)
            assert x.shape[-1] >= 7
            assert x.flatten(2).std(dim=2).mean() > 0.05 * x.std()


@torch.no_grad()
def test_squeeze_and_excitation_scales_the_map():
    gates = [m for m in untrained("efficientnet").modules() if isinstance(m, SqueezeExcite)]
    blocks = [m for m in untrained("efficientnet").modules() if isinstance(m, InvertedResidual)]
    assert len(gates) == len(blocks) == 7
    gate = gates[0]
    x = noise(2, gate.conv_reduce.in_channels, 6, 6)
    ratio = gate(x) / x
    torch.testing.assert_close(ratio, ratio.mean((2, 3), keepdim=True).expand_as(ratio))
    assert ratio.min() > 0
    assert ratio.max() < 1


@torch.no_grad()
def test_attention_gate_scales_each_position():
    gate = AttentionGate(8, 16).eval()
    skip, signal = noise(2, 8, 6, 6), noise(2, 16, 6, 6, seed=1)
    ratio = gate(skip, signal) / skip
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert ratio.min() > 0
    assert ratio.max() < 1
    assert ratio.std() > 0
    assert not torch.equal(gate(skip, signal), gate(skip, signal.flip(-1)))


@torch.no_grad()
def test_preactivation_block_is_an_identity_without_its_branch():
    block = PreActBlock(8, 8, 1, "se", 0.0).eval()
    block.conv2.weight.zero_()
    x = noise(1, 8, 7, 7)
    assert torch.equal(block(x), x)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["se", "eca", "cbam", ""])
def test_attention_can_be_chosen(attention):
    model = AdvancedCNN(widths=(8, 16), depths=(1, 1), strides=(1, 2), attention=attention)
    assert model.eval()(noise(1, 3, 28, 28)).shape == (1, 7)


@pytest.mark.parametrize("name", ["advanced_cnn", "efficientnet"])
def test_stochastic_depth_grows_to_the_last_block(name):
    from timm.layers import DropPath

    from medzoo.models import create_model

    model = create_model(name, num_classes=2, in_chans=1, drop_path_rate=0.3)
    rates = [m.drop_prob for m in model.modules() if isinstance(m, DropPath)]
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.3)
