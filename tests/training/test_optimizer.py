"""Optimisers: the recipe's, and Muon in an arithmetic that the device is good at."""

import pytest
import timm.optim.muon as timm_muon
import torch
from torch import nn

from medzoo.training import Recipe, optimizer
from medzoo.training.optimizer import create_optimizer, orthogonalise


def step(model, recipe):
    """Make one step; return the precisions that Newton-Schulz was asked for."""
    asked = []
    original = timm_muon.zeropower_via_newtonschulz

    def spy(*args, dtype=torch.bfloat16, **kwargs):
        asked.append(dtype)
        return original(*args, dtype=dtype, **kwargs)

    timm_muon.zeropower_via_newtonschulz = spy
    try:
        made = create_optimizer(
            model,
            recipe.optimizer,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            device=torch.device("cpu"),
        )
        model(torch.ones(1, 4)).sum().backward()
        made.step()
        assert timm_muon.zeropower_via_newtonschulz is spy  # as it was before the step
    finally:
        timm_muon.zeropower_via_newtonschulz = original
    return set(asked)


def test_muon_is_in_float32_only_where_bfloat16_is_slow(monkeypatch):
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8))
    monkeypatch.setattr(optimizer, "has_fast_bfloat16", lambda device: False)
    assert step(model, Recipe(optimizer="muon")) == {torch.float32}
    monkeypatch.setattr(optimizer, "has_fast_bfloat16", lambda device: True)
    assert step(model, Recipe(optimizer="muon")) == {torch.bfloat16}
    assert step(model, Recipe(optimizer="adamw")) == set()


@pytest.mark.parametrize("shape", [(16, 144), (144, 16), (16, 20), (1, 27)])
@pytest.mark.parametrize("kind", ["original", "quintic"])
@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e4])
def test_the_shorter_way_gives_the_same_as_timms(shape, kind, scale):
    torch.manual_seed(0)
    gradient = scale * torch.randn(shape) @ torch.diag(torch.logspace(-3, 0, shape[1]))
    original = timm_muon.zeropower_via_newtonschulz
    coefficients = timm_muon._COEFFICIENTS[kind]
    expected = original(gradient, 5, coefficients, dtype=torch.float32)
    found = orthogonalise(original, gradient, 5, coefficients)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


def test_a_gradient_of_zeros_stays_one():
    original = timm_muon.zeropower_via_newtonschulz
    found = orthogonalise(original, torch.zeros(4, 36), 5, timm_muon._COEFFICIENTS["quintic"])
    assert torch.equal(found, torch.zeros(4, 36))


def test_biases_are_not_decayed():
    model = nn.Linear(4, 4)
    nn.init.ones_(model.bias)
    made = create_optimizer(
        model, "adamw", learning_rate=0.1, weight_decay=0.5, device=torch.device("cpu")
    )
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = model.weight.detach().clone()
    made.step()
    assert torch.equal(model.bias, torch.ones(4))
    assert not torch.equal(model.weight, before)
