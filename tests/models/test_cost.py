"""What a model costs, against independent counts and published figures."""

import pytest
import timm
import torch
from torch import nn

import medzoo
from medzoo.models import create_model, list_models, model_cost
from tests.models.conftest import noise


def counted(model: nn.Module, image: torch.Tensor) -> int:
    """Multiply-adds of convolutions and linear layers: one per weight, for every output."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    layers = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    with torch.inference_mode():
        model(image)
    for handle in handles:
        handle.remove()
    return total


def test_operations_are_those_of_the_layers(model):
    size = 45
    cost = model_cost(model, size=size)
    assert cost.multiply_adds == counted(model, noise(1, 3, size, size))
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert cost.mflop == pytest.approx(cost.multiply_adds / 5e5)
    assert cost.size == size


def test_resnet18_costs_what_is_published():
    """torchvision's page says 11,689,512 parameters and 1.81 billion multiply-adds at 224."""
    cost = model_cost(timm.create_model("resnet18"))
    assert (cost.parameters, cost.size) == (11_689_512, 224)
    assert round(cost.multiply_adds / 1e9, 2) == 1.81


def test_attention_is_counted():
    tokens, width, blocks = 197, 192, 12
    block = tokens * width * (3 * width + width + 2 * 4 * width) + 2 * tokens**2 * width
    expected = blocks * block + 196 * width * 16**2 * 3 + width * 1000
    assert model_cost(timm.create_model("vit_tiny_patch16_224")).multiply_adds == expected


@pytest.mark.parametrize("name", list_models())
def test_an_architecture_needs_no_weights(name):
    built = create_model(name, dataset="octmnist", size=64)
    assert model_cost(name, dataset="octmnist", size=64) == model_cost(built)
    widths = {"widths": [8, 8, 8, 8]}
    assert model_cost(name, **widths) == model_cost(create_model(name, **widths))


def test_a_network_that_fits_no_memory_costs_none():
    widths = [40_000] * 4
    cost = model_cost("advanced_cnn", widths=widths, attention="", kernel_size=1)
    assert cost.parameters > 2e10


def test_checkpoints_and_files_have_the_costs_of_their_networks(tmp_path):
    name = "simple_cnn.breastmnist"
    model = create_model(name, pretrained=True)
    path = medzoo.models.save_weights(model, tmp_path / "own.safetensors")
    assert model_cost(name) == model_cost(path) == model_cost(model)
    assert model_cost(name, size=64).multiply_adds > 4 * model_cost(name).multiply_adds


def test_the_model_is_left_as_it_was(fresh):
    fresh.train().half()
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    cost = model_cost(nn.DataParallel(fresh))
    assert cost == model_cost(fresh.float())
    assert fresh.training
    assert all(torch.equal(before[name], t) for name, t in fresh.state_dict().items())


def test_what_cannot_be_counted():
    with pytest.raises(TypeError, match="does not say which images"):
        model_cost(nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"\['widths'\] build a model from its name"):
        model_cost(create_model("simple_cnn"), widths=[8, 8])
    with pytest.raises(ValueError, match="size=0 must be a whole number"):
        model_cost("simple_cnn", size=0)
    with pytest.raises(ValueError, match="did you mean 'efficientnet'"):
        model_cost("eficientnet")
