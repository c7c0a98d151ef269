"""Optimisers: the recipe's, and Muon in an arithmetic that the device is good at."""

import pytest
import timm.optim
import timm.optim.muon as timm_muon
import torch
from torch import nn

from medzoo.training.optim import Muon, create, create_optimizer, muon
from medzoo.training.optim.muon import QUINTIC, is_orthogonalised, orthogonalise
from medzoo.training.state import optimizer_state, restore_optimizer

CPU = torch.device("cpu")


def network():
    """Layers that Muon moves, wide and nearly square ones, and layers that it leaves to AdamW."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 24, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 16), nn.Linear(16, 3),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def ours(model, name="muon"):
    return create_optimizer(model, name, learning_rate=0.01, weight_decay=0.05, device=CPU)


def timms(model, name="muon"):
    return timm.optim.create_optimizer_v2(model, name, lr=0.01, weight_decay=0.05)


def steps(model, optimizer, count=3):
    torch.manual_seed(1)
    for _ in range(count):
        images = torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)
        model(images).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.state_dict()


@pytest.fixture
def timms_iteration(monkeypatch):
    """Muon in bfloat16, with timm's own iteration."""

    def iterate(gradient, steps, **settings):
        return timm_muon.zeropower_via_newtonschulz(gradient, steps, list(QUINTIC), **settings)

    monkeypatch.setattr(create, "has_fast_bfloat16", lambda device: True)
    monkeypatch.setattr(muon, "orthogonalise", iterate)


@pytest.mark.parametrize("name", ["muon", "nmuon", "adamuon", "nadamuon", "lookahead_muon"])
@pytest.mark.usefixtures("timms_iteration")
def test_but_for_the_iteration_muon_is_timms_bit_for_bit(name):
    one, other = network(), network()
    found, expected = steps(one, ours(one, name), 13), steps(other, timms(other, name), 13)
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


def test_muon_is_in_float32_only_where_bfloat16_is_slow(monkeypatch):
    for fast, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        monkeypatch.setattr(create, "has_fast_bfloat16", lambda device, fast=fast: fast)
        optimizer = ours(network())
        assert isinstance(optimizer, Muon)
        assert {group["dtype"] for group in optimizer.param_groups} == {dtype}


def test_timms_own_function_stays_in_its_place_during_a_step():
    original = timm_muon.zeropower_via_newtonschulz
    model = network()
    optimizer, seen = ours(model), []
    optimizer.register_step_pre_hook(
        lambda *_: seen.append(timm_muon.zeropower_via_newtonschulz is original)
    )
    steps(model, optimizer, 1)
    assert seen == [True]


@pytest.mark.parametrize("name", ["muon", "adamuon"])
@pytest.mark.usefixtures("timms_iteration")
def test_the_state_has_timms_names_and_goes_on_from_timms(name):
    model = network()
    former = timms(model, name)
    steps(model, former)
    tensors, numbers = optimizer_state(former)
    other = network()
    other.load_state_dict(model.state_dict())
    optimizer = ours(other, name)
    restore_optimizer(optimizer, {k: v.clone() for k, v in tensors.items()} | numbers)
    own, _ = optimizer_state(optimizer)
    assert own.keys() == tensors.keys()
    found, expected = steps(other, optimizer), steps(model, former)
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_a_closure_is_called_with_gradients():
    model = network()
    optimizer = ours(model)

    def closure():
        loss = model(torch.ones(1, 3, 8, 8)).sum()
        loss.backward()
        return loss

    model.eval()
    assert optimizer.step(closure).requires_grad


@pytest.mark.parametrize(
    "shape",
    [
        (4,),
        (1, 8),
        (8, 1, 3, 3),
        (1, 4, 8),
        (3, 9),
        (4, 4),
        (4, 513),
        (4, 512),
        (8, 2, 3, 3),
        (3, 8),
    ],
)
def test_the_rule_for_shapes_is_timms(shape):
    parameter = torch.zeros(shape)
    assert is_orthogonalised(parameter) is timm_muon._is_suitable_for_muon(parameter)


def test_the_coefficients_are_timms():
    assert list(QUINTIC) == timm_muon._COEFFICIENTS["quintic"]


@pytest.mark.parametrize("shape", [(16, 144), (144, 16), (16, 20), (1, 27)])
@pytest.mark.parametrize("kind", ["original", "quintic"])
@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e4])
def test_the_shorter_way_gives_the_same_as_timms(shape, kind, scale):
    torch.manual_seed(0)
    gradient = scale * torch.randn(shape) @ torch.diag(torch.logspace(-3, 0, shape[1]))
    coefficients = timm_muon._COEFFICIENTS[kind]
    expected = timm_muon.zeropower_via_newtonschulz(gradient, 5, coefficients, dtype=torch.float32)
    found = orthogonalise(gradient, 5, coefficients)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


def test_a_gradient_of_zeros_stays_one():
    assert torch.equal(orthogonalise(torch.zeros(4, 36), 5), torch.zeros(4, 36))


@pytest.mark.parametrize("shape", [(48, 432), (432, 48), (48, 96)])
@pytest.mark.parametrize("decades", [0, 2, 4], ids="{} decades".format)
def test_in_bfloat16_the_shorter_way_is_as_exact_as_timms(shape, decades):
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    gradient = left @ torch.diag(torch.logspace(0, -decades, 48)) @ right
    exact = orthogonalise(gradient, 5, dtype=torch.float32)
    found = orthogonalise(gradient, 5, dtype=torch.bfloat16)
    timms = timm_muon.zeropower_via_newtonschulz(gradient, 5, list(QUINTIC), dtype=torch.bfloat16)
    assert found.dtype is torch.bfloat16
    error, theirs = (float((one.float() - exact).norm()) for one in (found, timms))
    assert error < 2 * theirs
    assert error < 0.2 * float(exact.norm())


def test_biases_are_not_decayed():
    model = nn.Linear(4, 4)
    nn.init.ones_(model.bias)
    made = create_optimizer(model, "adamw", learning_rate=0.1, weight_decay=0.5, device=CPU)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = model.weight.detach().clone()
    made.step()
    assert torch.equal(model.bias, torch.ones(4))
    assert not torch.equal(model.weight, before)
