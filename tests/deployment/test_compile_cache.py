"""The cache of compiled models never gives the graph of a model that computed something else."""

from types import MethodType

import pytest
import torch
from torch import fx, nn

import medzoo
from medzoo.deployment import Description
from medzoo.deployment.cache import cache_path
from tests.deployment.networks import tiny_model

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason=f"needs {package}: pip install 'medzoo[onnx]'")


def logits_of(model):
    images = torch.randn(5, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return model(images)


def by_hook(model):
    model.head.register_forward_hook(lambda *about: about[2] / 2)


def by_hook_before(model):
    model.head.register_forward_pre_hook(lambda _, inputs: (inputs[0] / 2,))


def by_method(model):
    model.forward = MethodType(lambda self, x: type(self).forward(self, x) / 2, model)


def by_method_that_forward_calls(model):
    model.forward_head = MethodType(lambda self, x: self.head(x) / 2, model)


CHANGES = [by_hook, by_hook_before, by_method, by_method_that_forward_calls]


@pytest.mark.parametrize("change", CHANGES)
def test_code_of_an_instance_is_compiled_and_not_kept(change):
    model = tiny_model("simple_cnn").eval()
    before = logits_of(medzoo.compile(model))
    change(model)
    assert cache_path(model, Description.of(model)) is None
    found = logits_of(medzoo.compile(model))
    torch.testing.assert_close(found, logits_of(model), atol=1e-4, rtol=0)
    assert (found - before).abs().max() > 0.01


def test_a_graph_of_fx_is_code_of_its_own():
    model = tiny_model("simple_cnn").eval()
    for act in (nn.ReLU(), nn.Sequential(nn.ReLU())):
        model.head.drop = act
        assert cache_path(model, Description.of(model)) is not None
    model.head.drop = fx.symbolic_trace(act)
    assert cache_path(model, Description.of(model)) is None


class Scaled(nn.Module):
    """Stands for a layer of timm whose text does not show all that it computes by."""

    __module__ = "timm.layers"

    def __init__(self):
        super().__init__()
        self.scale = 1.0

    def forward(self, x):
        return x * self.scale


def test_what_the_text_of_a_layer_does_not_show_is_noticed(tiny):
    model = tiny_model("simple_cnn").eval()
    model.head.drop = Scaled()
    integers = {"precision": "int8", "calibration": tiny.train}
    places, logits = [], []
    for scale in (1.0, 0.5):
        model.head.drop.scale = scale
        places.append(cache_path(model, Description.of(model)))
        found = logits_of(medzoo.compile(model))
        torch.testing.assert_close(found, logits_of(model), atol=1e-4, rtol=0)
        logits.append(logits_of(medzoo.compile(model, **integers)))
    assert places[0] == places[1] is not None  # else this test shows nothing
    assert (logits[0] - logits[1]).abs().max() > 0.01


@pytest.mark.parametrize("change", CHANGES)
def test_code_of_an_instance_is_quantised(change, tiny):
    integers = {"precision": "int8", "calibration": tiny.train}
    model = tiny_model("simple_cnn").eval()
    before = logits_of(medzoo.compile(model, **integers))
    change(model)
    found, expected = logits_of(medzoo.compile(model, **integers)), logits_of(model)
    assert (found - expected).abs().mean() < (before - expected).abs().mean() / 2
