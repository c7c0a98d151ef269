"""timm's model interface: creation, features, classifier, configuration."""

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.models import ImageClassifier, create_model, list_models
from tests.models.conftest import noise


def test_timm_knows_the_architectures():
    expected = [f"medzoo_{name}" for name in list_models()]
    assert timm.list_models("medzoo_*") == expected


@pytest.mark.parametrize("name", list_models())
def test_timm_creates_the_architectures(name):
    model = timm.create_model(f"medzoo_{name}", num_classes=3, in_chans=1, drop_rate=0.25)
    assert isinstance(model, ImageClassifier)
    assert model.eval()(noise(1, 1, 28, 28)).shape == (1, 3)
    assert model.head.drop.p == 0.25
    data = timm.data.resolve_model_data_config(model)
    assert (data["input_size"], data["mean"], data["crop_pct"]) == ((1, 28, 28), (0.5,), 1.0)


def test_timm_reads_the_data_config_of_a_fitted_model(tiny):
    model = create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16))
    data = timm.data.resolve_model_data_config(model)
    assert data["input_size"] == (3, 28, 28)
    assert (data["mean"], data["std"]) == tiny.mean_std()


def test_configuration_names_first_convolution_and_classifier(model):
    modules = dict(model.named_modules())
    assert isinstance(modules[model.pretrained_cfg["first_conv"]], torch.nn.Conv2d)
    assert modules[model.pretrained_cfg["first_conv"]].in_channels == 3
    assert modules[model.pretrained_cfg["classifier"]] is model.get_classifier()


@torch.no_grad()
def test_forward_is_features_then_head(model):
    x = noise(2, 3, 28, 28)
    features = model.forward_features(x)
    assert features.shape[:2] == (2, model.num_features)
    pooled = model.forward_head(features, pre_logits=True)
    assert pooled.shape == (2, model.head_hidden_size)
    assert torch.equal(model.get_classifier()(pooled), model(x))
    assert torch.equal(model.forward_head(features), model(x))


@torch.no_grad()
def test_intermediates(model):
    x = noise(1, 3, 32, 32)
    final, maps = model.forward_intermediates(x)
    assert torch.equal(final, model.forward_features(x))
    assert len(maps) == len(model.feature_info)
    last = model.forward_intermediates(x, indices=1, intermediates_only=True)
    first = model.forward_intermediates(x, indices=[0], intermediates_only=True)
    assert torch.equal(last[0], maps[-1])
    assert torch.equal(first[0], maps[0])
    with pytest.raises(ValueError, match="NHWC"):
        model.forward_intermediates(x, output_fmt="NHWC")


@torch.no_grad()
def test_feature_info_tells_the_truth(model):
    maps = model.forward_intermediates(noise(1, 3, 64, 64), intermediates_only=True)
    modules = dict(model.named_modules())
    for info, feature in zip(model.feature_info, maps, strict=True):
        side = 64 // info["reduction"]
        assert feature.shape == (1, info["num_chs"], side, side)
        assert info["module"] in modules


def test_each_resolution_is_one_level_of_the_pyramid(model):
    reductions = [info["reduction"] for info in model.feature_info]
    assert reductions == [2 ** (level + 1) for level in range(len(reductions))]
    coarsest = model.forward_intermediates(noise(1, 3, 28, 28), indices=1, intermediates_only=True)
    assert torch.equal(coarsest[0], model.forward_maps(noise(1, 3, 28, 28))[-1])


@settings(deadline=None, max_examples=10)
@given(st.lists(st.sampled_from([1, 2]), min_size=4, max_size=4))
@torch.no_grad()
def test_any_strides_are_told_truly(strides):
    widths = {"widths": (4, 5, 6, 7), "strides": strides}
    backbone = create_model("advanced_cnn", in_chans=1, features_only=True, attention="", **widths)
    maps = backbone.eval()(noise(1, 1, 32, 32))
    assert [32 // m.shape[-1] for m in maps] == backbone.feature_info.reduction()
    assert [m.shape[1] for m in maps] == backbone.feature_info.channels()
    assert len(maps) == 1 + strides[1:].count(2)


@pytest.mark.parametrize("size", [28, 31])
@pytest.mark.parametrize("name", list_models())
@torch.no_grad()
def test_features_only_gives_the_pyramid(name, size):
    backbone = create_model(name, in_chans=1, features_only=True).eval()
    maps = backbone(noise(2, 1, size, size))
    assert [m.shape[1] for m in maps] == backbone.feature_info.channels()
    sides = [-(-size // reduction) for reduction in backbone.feature_info.reduction()]
    assert [m.shape[-1] for m in maps] == sides


@pytest.mark.parametrize("name", list_models())
def test_features_only_takes_the_levels_asked_for(name):
    backbone = create_model(name, in_chans=3, features_only=True, out_indices=[1]).eval()
    assert len(backbone(noise(1, 3, 28, 28))) == 1


def test_classifier_is_replaced_or_removed(fresh):
    old = fresh.get_classifier()
    fresh.eval().reset_classifier(9)
    assert fresh.get_classifier() is not old
    assert fresh.num_classes == 9
    assert fresh(noise(1, 3, 28, 28)).shape == (1, 9)
    fresh.reset_classifier(0)
    assert fresh.num_classes == 0
    x = noise(1, 3, 28, 28)
    pooled = fresh.forward_head(fresh.forward_features(x), pre_logits=True)
    assert torch.equal(fresh(x), pooled)
    fresh.reset_classifier(2, "max")
    assert fresh(x).shape == (1, 2)
    assert fresh.head.global_pool.pool_type == "max"
