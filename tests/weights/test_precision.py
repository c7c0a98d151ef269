"""Weights in fewer bits: how exact they are, how large the file is, and what cannot be stored."""

import pytest
import torch

from medzoo.models import create_model, save_weights
from medzoo.weights import full_precision, read_weights
from medzoo.weights.precision import stored_tensors


@pytest.fixture
def model(tiny):
    torch.manual_seed(0)
    return create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16))


def channels(tensor):
    return tensor.flatten(1)


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_normalisation_and_biases_stay_exact(model, precision, tmp_path):
    model.stages[0][1].bn.running_var.fill_(1e6)  # beyond half precision's range
    tensors = read_weights(save_weights(model, tmp_path / "m.safetensors", precision=precision))[1]
    assert tensors.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert tensors[name].dtype == tensor.dtype
        if tensor.ndim < 2:
            assert torch.equal(tensors[name], tensor)
        elif precision == "float16":
            assert torch.equal(tensors[name], tensor.half().float())


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e30, 1e-30, 1e-42])
def test_int8_is_off_by_at_most_half_a_level_of_each_channel(spread):
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(64, 8, 3, 3, generator=generator) * spread
    weights *= torch.logspace(-3, 3, 64)[:, None, None, None]
    weights[5] = 0.0
    weights[6, 1:] = 0.0
    loaded = full_precision(stored_tensors({"w": weights}, "int8"))["w"]
    largest = channels(weights).abs().amax(1)
    error = channels(loaded - weights).abs().amax(1)
    smallest = 2**-126  # below, float32 itself has fewer digits
    assert (error <= largest * (1 + 1e-5) / 254 + smallest).all()
    assert torch.equal(loaded[5], weights[5])


def test_int8_scales_are_beside_their_tensors_under_names_that_no_parameter_has(model):
    stored = stored_tensors(model.state_dict(), "int8")
    wide = {name for name, tensor in model.state_dict().items() if tensor.ndim > 1}
    assert {n for n, t in stored.items() if t.dtype == torch.int8} == wide
    assert stored.keys() - model.state_dict().keys() == {f"{name}..scale" for name in wide}
    with pytest.raises(KeyError, match="empty"):
        torch.nn.Module().add_module("", torch.nn.ReLU())


@pytest.mark.parametrize(("precision", "tolerance"), [("float16", 2e-3), ("int8", 0.05)])
@pytest.mark.parametrize("name", ["simple_cnn.dermamnist", "efficientnet.dermamnist"])
def test_a_published_model_gives_nearly_the_same_logits(name, precision, tolerance, tmp_path):
    """The tolerance is a part of the range of the logits."""
    model = create_model(name, pretrained=True)
    model.ood_detector = None  # stored in the same way in all precisions
    images = torch.rand(8, 3, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    full = save_weights(model, tmp_path / "full.safetensors")
    path = save_weights(model, tmp_path / "m.safetensors", precision=precision)
    loaded = create_model(path)
    assert loaded.spec == create_model(full).spec
    with torch.no_grad():
        expected, found = model(images), loaded(images)
    assert (found - expected).abs().max() <= tolerance * (expected.max() - expected.min())
    share = {"float16": 0.5, "int8": 0.25}[precision]
    assert path.stat().st_size == pytest.approx(share * full.stat().st_size, rel=0.1)


def test_int8_files_are_loaded_by_timm_as_well(model, tmp_path):
    import timm

    path = save_weights(model, tmp_path / "m.safetensors", precision="int8")
    overlay = {"file": str(path), "num_classes": 7}
    loaded = timm.create_model(
        "medzoo_simple_cnn", pretrained=True, pretrained_cfg_overlay=overlay, widths=(4, 8, 16)
    )
    expected = create_model(path).state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in loaded.state_dict().items())


def test_saving_what_was_loaded_in_int8_gives_the_same_file(model, tmp_path):
    path = save_weights(model, tmp_path / "m.safetensors", precision="int8")
    again = save_weights(create_model(path), tmp_path / "again.safetensors", precision="int8")
    first, second = read_weights(path)[1], read_weights(again)[1]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_index_tensors_are_not_rounded():
    indices = torch.arange(5000).reshape(50, 100)
    for precision in ("float16", "int8"):
        stored = stored_tensors({"index": indices}, precision)
        assert torch.equal(full_precision(stored)["index"], indices)


@pytest.mark.parametrize(
    ("precision", "value"),
    [("float16", 1e6), ("float16", float("nan")), ("int8", float("inf")), ("int8", float("nan"))],
)
def test_values_that_cannot_be_stored_are_refused(model, precision, value, tmp_path):
    model.head.fc.weight.data[3, 2] = value
    with pytest.raises(ValueError, match=r"head\.fc\.weight.*precision='float32'"):
        save_weights(model, tmp_path / "m.safetensors", precision=precision)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_precision_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="did you mean 'int8'"):
        save_weights(model, tmp_path / "m.safetensors", precision="int4")


@pytest.mark.parametrize(
    "tensors",
    [
        {"w..scale": torch.ones(2, 1)},
        {"w": torch.ones(2, 3), "w..scale": torch.ones(2, 1)},
        {"w": torch.ones(2, 3, dtype=torch.int8), "w..scale": torch.ones(1, 3)},
        {"w": torch.ones(2, 3, dtype=torch.int8), "w..scale": torch.ones(5, 2, 3)},
    ],
)
def test_scales_that_fit_no_tensor_are_refused(tensors):
    with pytest.raises(ValueError, match=r"w.* scale|w\.\.scale"):
        full_precision(tensors)
