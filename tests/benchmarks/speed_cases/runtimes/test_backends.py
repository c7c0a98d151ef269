"""Folded networks compute what the original does."""

import pytest
import torch
from timm.layers import BatchNormAct2d

import medzoo
from benchmarks.speed_cases.runtimes.folded import fold

NORMS_LEFT = {"simple_cnn": 0, "advanced_cnn": 6, "efficientnet": 0, "attention_unet": 0}


@pytest.mark.parametrize("name", NORMS_LEFT)
@torch.no_grad()
def test_folding_changes_layers_but_not_logits(name):
    model = medzoo.create_model(f"{name}.dermamnist", pretrained=True).eval()
    images = torch.randn(4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    expected = model(images)
    before = sum(isinstance(module, BatchNormAct2d) for module in model.modules())
    folded = fold(model)
    assert torch.allclose(folded(images), expected, atol=1e-5, rtol=0)
    left = sum(isinstance(module, BatchNormAct2d) for module in folded.modules())
    assert left == NORMS_LEFT[name]
    assert sum(isinstance(module, BatchNormAct2d) for module in model.modules()) == before > left
    assert torch.equal(model(images), expected)
