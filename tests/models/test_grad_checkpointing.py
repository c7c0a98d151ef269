"""Gradient checkpointing: less memory, and the same training."""

import copy

import pytest
import torch

from medzoo import create_model
from medzoo.models import list_models

ARGUMENTS = {"efficientnet": {"drop_path_rate": 0.3}}


def step(model, images):
    """One forward and backward pass; returns outputs, gradients and buffers."""
    torch.manual_seed(0)
    logits = model(images)
    logits.square().sum().backward()
    gradients = {name: one.grad for name, one in model.named_parameters()}
    return logits.detach(), gradients, dict(model.named_buffers())


@pytest.mark.parametrize("name", list_models())
def test_gradients_and_statistics_are_the_plain_ones(name):
    torch.manual_seed(1)
    plain = create_model(name, dataset="dermamnist", drop_rate=0.2, **ARGUMENTS.get(name, {}))
    plain.train()
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing()
    images = torch.randn(2, 3, 16, 16)
    for expected, found in zip(step(plain, images), step(saving, images), strict=True):
        torch.testing.assert_close(found, expected)
    norms = [one for one in saving.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert {(one.momentum, int(one.num_batches_tracked)) for one in norms} == {(0.1, 1)}


@pytest.mark.parametrize("name", list_models())
def test_fewer_values_are_kept_for_the_backward_pass(name):
    model = create_model(name, dataset="dermamnist").train()
    images = torch.randn(2, 3, 16, 16)

    def kept():
        held = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: held.append(x) or x, lambda x: x):
            model(images)
        return sum(one.nbytes for one in {id(one): one for one in held}.values())

    plain = kept()
    model.set_grad_checkpointing(True)
    assert kept() < plain
    model.set_grad_checkpointing(False)
    assert kept() == plain


def test_inference_and_features_are_the_same():
    model = create_model("advanced_cnn", dataset="dermamnist").eval()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        expected = model(images), *model.forward_intermediates(images, intermediates_only=True)
        model.set_grad_checkpointing()
        found = model(images), *model.forward_intermediates(images, intermediates_only=True)
    assert all(map(torch.equal, expected, found))


def test_statistics_of_a_model_in_evaluation_mode_are_still_used():
    model = create_model("simple_cnn", dataset="dermamnist").eval()
    images = torch.randn(2, 3, 16, 16)
    plain = step(model, images)
    expected = {name: gradient.clone() for name, gradient in plain[1].items()}
    model.zero_grad(set_to_none=True)
    model.set_grad_checkpointing()
    torch.testing.assert_close(step(model, images)[1], expected)
