"""The arguments that an architecture search varies: what they build, and that they are kept."""

from functools import partial

import pytest
import timm
import torch

import medzoo
from medzoo.models import create_model, save_weights
from medzoo.models._stages import ACTIVATIONS, GATES, POOLINGS, create_gate
from tests.models.conftest import noise

VARIANTS = {
    "advanced_cnn": {
        "widths": [8, 24, 16],
        "depths": [2, 1, 1],
        "strides": [2, 1, 2],
        "kernel_size": [3, 5, 1],
        "expansion": [0.5, 1.0, 2.0],
        "attention": "eca",
        "stem_stride": 1,
        "stem_kernel_size": 5,
    },
    "attention_unet": {
        "widths": [8, 16, 24],
        "head_width": 40,
        "depth": 3,
        "kernel_size": 5,
        "stem_stride": 2,
    },
    "efficientnet": {
        "widths": [8, 24, 16],
        "depths": [2, 1, 1],
        "strides": [2, 1, 2],
        "kernel_size": [3, 5, 7],
        "expansion": [1.5, 2, 6],
        "fused_stages": 1,
        "attention": "cbam",
        "head_width": 40,
        "act_layer": "silu",
        "stem_stride": 1,
        "stem_kernel_size": 5,
    },
    "simple_cnn": {"widths": [8, 24, 16], "depth": 3, "kernel_size": 5, "stem_stride": 2},
}


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param, VARIANTS[request.param]


@pytest.mark.parametrize("size", [28, 45])
def test_maps_have_the_widths_and_strides_that_were_asked_for(variant, size):
    name, args = variant
    network = create_model(name, features_only=True, **args).eval()
    image = noise(1, 3, size, size)
    with torch.inference_mode():
        maps = network(image)
    assert [m.shape[1] for m in maps] == network.feature_info.channels()
    assert maps[-1].shape[1] == args["widths"][-1]
    for one, reduction in zip(maps, network.feature_info.reduction(), strict=True):
        assert one.shape[-1] == -(-size // reduction)
    halvings = args.get("strides", [2] * (len(args["widths"]) - 1))
    assert reduction == args["stem_stride"] * torch.tensor(halvings).prod()


def test_arguments_are_kept_by_files_timm_and_transfer(variant, tmp_path):
    name, args = variant
    model = create_model(name, dataset="dermamnist", **args).eval()
    path = save_weights(model, tmp_path / "own.safetensors")
    loaded = create_model(path)
    assert loaded.spec.model_args == model.spec.model_args
    assert loaded.spec.model_args.items() >= args.items()
    images = noise(2, 3, 28, 28)
    with torch.inference_mode():
        assert torch.equal(loaded(images), model(images))
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    with torch.device("meta"):
        built = timm.create_model(f"medzoo_{name}", num_classes=7, **args)
    assert {key: tensor.shape for key, tensor in built.state_dict().items()} == shapes
    other = create_model(path, dataset="breastmnist")
    assert other.spec.model_args == model.spec.model_args
    assert other(images[:, :1]).shape == (2, 2)


def test_blocks_have_the_kernels_and_widths_that_were_asked_for():
    cnn = create_model("advanced_cnn", **VARIANTS["advanced_cnn"])
    assert cnn.stem.weight.shape == (8, 3, 5, 5)
    assert cnn.stages[0][1].conv1.weight.shape == (4, 8, 3, 3)  # half of its width
    assert cnn.stages[1][0].conv2.weight.shape == (24, 24, 5, 5)
    net = create_model("efficientnet", **VARIANTS["efficientnet"])
    assert net.stages[0][1].conv_exp.weight.shape == (16, 8, 3, 3)  # 12, as a multiple of 8
    assert net.stages[1][0].conv_dw.weight.shape == (16, 1, 5, 5)
    assert net.stages[2][0].conv_dw.weight.shape == (144, 1, 7, 7)
    assert type(net.stages[2][0].se).__name__ == "CbamModule"


@pytest.mark.parametrize("attention", ["", *GATES])
def test_every_gate_keeps_the_shape_of_maps_of_any_size(attention):
    gate = create_gate(attention, 16).eval()
    with torch.inference_mode():
        for one in (noise(2, 16, 1, 1), noise(2, 16, 7, 5)):
            assert gate(one).shape == one.shape
    assert any(True for _ in gate.parameters()) == bool(attention)


SMALL = {"widths": [8, 8], "depths": [1, 1], "strides": [2, 1], "head_width": 8}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_builds_a_network(activation):
    net = create_model("efficientnet", act_layer=activation, **SMALL, expansion=1)
    assert net.eval()(noise(1, 3, 28, 28)).shape == (1, 7)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_fits_the_classifier_and_a_new_one(pooling):
    model = create_model("simple_cnn", widths=[4, 8], global_pool=pooling).eval()
    images = noise(2, 3, 28, 28)
    pooled = model.forward_head(model.forward_features(images), pre_logits=True)
    assert pooled.shape == (2, model.head_hidden_size)
    assert model(images).shape == (2, 7)
    model.reset_classifier(3, "max")
    assert model.head_hidden_size == 8
    assert model(images).shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"global_pool": "mean"}, ValueError, "unknown global_pool 'mean'; did you mean 'max'"),
        ({"global_pool": 7}, TypeError, "global_pool=7 must be a name"),
        ({"global_pool": ""}, ValueError, "gives the classifier a map; use 'avg'"),
        ({"drop_rate": 1.0}, ValueError, r"drop_rate=1.0 must be in \[0, 1\)"),
        ({"drop_rate": -0.1}, ValueError, r"drop_rate=-0.1 must be in \[0, 1\)"),
        ({"drop_rate": "a"}, TypeError, "drop_rate='a' must be a finite number"),
        ({"drop_rate": True}, TypeError, "drop_rate=True must be a finite number"),
        ({"in_chans": 0}, ValueError, "in_chans=0 must be a whole number of at least 1"),
        ({"in_chans": "a"}, TypeError, "in_chans='a' must be a whole number"),
        ({"num_classes": -1}, ValueError, "num_classes=-1 must be a whole number of at least 0"),
        ({"size": "a"}, TypeError, "size='a' must be a whole number"),
        ({"size": -1}, ValueError, "size=-1 must be a whole number of at least 1"),
    ],
)
@pytest.mark.parametrize("name", VARIANTS)
def test_arguments_that_no_network_can_have_are_refused(name, arguments, error, message):
    with pytest.raises(error, match=message):
        create_model(name, **arguments)


@pytest.mark.parametrize("name", ["advanced_cnn", "efficientnet"])
@pytest.mark.parametrize(("rate", "error"), [(2, ValueError), (-0.5, ValueError), ("a", TypeError)])
def test_stochastic_depth_is_a_share(name, rate, error):
    with pytest.raises(error, match="drop_path_rate="):
        create_model(name, drop_path_rate=rate)


@pytest.mark.parametrize(("activation", "error"), [("rleu", ValueError), (3, TypeError)])
def test_an_unknown_activation_is_refused(activation, error):
    with pytest.raises(error, match="act_layer"):
        create_model("efficientnet", act_layer=activation)


@pytest.mark.parametrize(("arguments", "match"), [((-1,), "num_classes=-1"), ((3, "mean"), "mean")])
def test_a_refused_new_classifier_leaves_the_old_one(arguments, match):
    model = create_model("simple_cnn", widths=[4, 8])
    with pytest.raises(ValueError, match=match):
        model.reset_classifier(*arguments)
    assert model.num_classes == model.get_classifier().out_features == 7


@pytest.mark.parametrize("from_file", [False, True])
def test_without_a_classifier_there_can_be_maps(from_file, tmp_path):
    name, args = "simple_cnn", {"widths": [4, 8]}
    if from_file:
        name = save_weights(create_model(name, num_classes=7, **args), tmp_path / "own.safetensors")
        args = {}
    model = create_model(name, num_classes=0, global_pool="", **args)
    images = noise(1, 3, 28, 28)
    assert model(images).shape == (1, 8, 14, 14)
    with pytest.raises(ValueError, match="gives the classifier a map"):
        model.reset_classifier(3)
    model.reset_classifier(3, "avg")
    assert model(images).shape == (1, 3)
    with pytest.raises(ValueError, match="gives the classifier a map"):
        create_model(name, num_classes=3, global_pool="", **args)
    maps = create_model(name, features_only=True, global_pool="", **args)(images)
    assert [one.shape[1] for one in maps] == [8]


def test_activations_may_be_functions_and_poolings_in_capitals_as_in_timm():
    leaky = partial(torch.nn.LeakyReLU, 0.1)
    args = {**SMALL, "act_layer": leaky, "global_pool": "Avg", "expansion": 1}
    net = timm.create_model("medzoo_efficientnet", **args)
    assert net.eval()(noise(1, 3, 28, 28)).shape == (1, 7)


def test_the_width_of_the_classifier_is_also_that_of_a_network_built_by_its_class():
    net = medzoo.models.SimpleCNN(widths=[4, 8], global_pool="catavgmax")
    assert net.head_hidden_size == net.get_classifier().in_features == 16


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["", "eca", "cbam"])
def test_variants_are_exported(attention, tmp_path):
    pytest.importorskip("onnxruntime")
    args = VARIANTS["efficientnet"] | {"attention": attention}
    model = create_model("efficientnet", dataset="dermamnist", **args)
    exported = medzoo.export(model, tmp_path / "model.onnx")  # compares the logits
    assert medzoo.deployment.CompiledModel.from_file(exported.path).spec == model.spec


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("efficientnet", {"widths": [8, 16]}, r"depths=\(1, 2, 3, 4\) has 4 numbers for the 2"),
        ("advanced_cnn", {"kernel_size": [3, 3]}, r"kernel_size=\[3, 3\] has 2 numbers for the 4"),
        ("advanced_cnn", {"kernel_size": 4}, "kernel_size=4 is even"),
        ("attention_unet", {"kernel_size": 2}, "kernel_size=2 is even"),
        ("simple_cnn", {"widths": []}, r"widths=\[\] must be a list of at least one number"),
        ("simple_cnn", {"widths": [8, 0]}, "widths=0 must be a whole number of at least 1"),
        ("simple_cnn", {"depth": 0}, "depth=0 must be a whole number of at least 1"),
        ("efficientnet", {"depths": [1, 0, 1, 1]}, "depths=0 must be a whole number"),
        ("efficientnet", {"strides": -1}, "strides=-1 must be a whole number"),
        ("efficientnet", {"expansion": 0}, "expansion=0 must be above 0"),
        ("efficientnet", {"fused_stages": 5}, "fused_stages=5 .* at most 4"),
        ("efficientnet", {"stem_stride": 0}, "stem_stride=0 must be a whole number"),
        ("efficientnet", {"attention": "sse"}, "unknown attention 'sse'; did you mean"),
        ("advanced_cnn", {"attention": "halo"}, "unknown attention 'halo'"),
        ("advanced_cnn", {"strides": [4, 4, 4, 1]}, "reduce images 128-fold"),
        ("simple_cnn", {"widths": [8] * 8}, "reduce images 128-fold, .* 28 x 28 pixels"),
    ],
)
def test_values_that_do_not_fit_are_errors(name, args, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **args)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"widths": 8}, "widths=8 must be a list"),
        ({"widths": [8, "16", 8, 8]}, "widths='16' must be a whole number"),
        ({"depths": [1, 1.5, 1, 1]}, "depths=1.5 must be a whole number"),
        ({"expansion": "2"}, "expansion='2' must be a finite number"),
        ({"kernel_size": 3.0}, "kernel_size=3.0 must be a whole number"),
    ],
)
def test_values_of_a_wrong_type_are_errors(args, message):
    with pytest.raises(TypeError, match=message):
        create_model("efficientnet", **args)


def test_strides_may_leave_a_single_position_but_go_no_further():
    strides = [2, 2, 2, 2]  # with the stem: 32-fold
    assert create_model("advanced_cnn", strides=strides, size=17)(noise(2, 3, 17, 17)).shape[0] == 2
    with pytest.raises(ValueError, match="reduce images 32-fold"):
        create_model("advanced_cnn", strides=strides, size=16)
    assert create_model("advanced_cnn", strides=strides, size=224)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("simple_cnn", {"widhts": (4, 8)}, "simple_cnn has no argument 'widhts'; .*'widths'"),
        ("simple_cnn", {"foo": 1}, "known: .*drop_rate, features_only, .*widths"),
        ("simple_cnn", {"num_class": 3}, "did you mean 'num_classes'"),
        ("simple_cnn.dermamnist", {"dorp_rate": 0.1, "pretrained": True}, "'drop_rate'"),
        ("timm/test_resnet", {"dorp_rate": 0.1}, "timm/test_resnet has no .*'drop_rate'"),
    ],
)
def test_unknown_arguments_are_named_with_close_matches(name, given, message):
    with pytest.raises(TypeError, match=message):
        create_model(name, **given)
