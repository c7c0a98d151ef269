"""The peers are what they claim to be."""

import pytest
import torch

import medzoo
from benchmarks.speed_cases import peers
from benchmarks.timing.machine import mflop


def test_official_resnet18_is_the_one_of_the_baselines():
    model = peers.official_resnet18(num_classes=7)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(11.17e6, rel=0.01)
    assert model(torch.zeros(2, 3, 28, 28)).shape == (2, 7)


def test_timm_peer_has_the_size_and_arithmetic_of_our_efficientnet():
    ours, theirs = medzoo.create_model("efficientnet", num_classes=7), peers.timm_mbconv()
    parameters = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert parameters[1] == pytest.approx(parameters[0], rel=0.05)
    images = torch.zeros(1, 3, 28, 28)
    assert mflop(theirs, images) == pytest.approx(mflop(ours, images), rel=0.1)
