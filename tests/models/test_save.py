"""Saving: every file that is written loads as the same model, and what would not is one error."""

import copy
import random

import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import parametrizations

import medzoo
from medzoo.models import bind_to_dataset, create_model, save_weights

WIDTHS = (4, 8, 16)


def small(architecture="simple_cnn", **arguments):
    torch.manual_seed(0)
    if architecture == "simple_cnn":
        arguments = {"widths": WIDTHS} | arguments
    return create_model(architecture, dataset="dermamnist", **arguments)


def logits(model, images):
    with torch.no_grad():
        return copy.deepcopy(model).eval()(images)


@pytest.fixture
def images():
    return torch.randn(3, 3, 28, 28)


@pytest.mark.parametrize(
    "architecture", ["simple_cnn", "timm/test_resnet", "timm/test_efficientnet", "timm/test_vit"]
)
def test_another_pooling_is_part_of_the_file(architecture, images, tmp_path):
    size = {"size": 32} if architecture == "timm/test_vit" else {}
    model = small(architecture, **size)
    pooling = "token" if architecture == "timm/test_vit" else "max"
    model.reset_classifier(5, pooling)
    assert model.spec.model_args["global_pool"] == pooling
    images = torch.randn(3, *model.spec.input.shape)
    loaded = create_model(save_weights(model, tmp_path / "m.safetensors"))
    assert torch.equal(logits(loaded, images), logits(model, images))
    assert loaded.spec.model_args["global_pool"] == pooling
    loaded.reset_classifier(3)
    assert loaded.spec.model_args["global_pool"] == pooling  # kept, as the network keeps it


def _compiled_part(model):
    model.stages[0] = torch.compile(model.stages[0], backend="eager")


def _compiled_head(model):
    model.head = torch.compile(model.head, backend="eager")


def _compiled_layer_in_compiled_part(model):
    model.stages[0][1] = torch.compile(model.stages[0][1], backend="eager")
    _compiled_part(model)


def _parallel_part(model):
    model.stages[0] = nn.DataParallel(model.stages[0])


def _compiled_in_place(model):
    model.compile(backend="eager")


def _same_head(model):
    model.head.fc = nn.Linear(16, 7)


def _synchronised_norms(model):
    model.stages = timm.layers.convert_sync_batchnorm(model.stages)


@pytest.mark.parametrize(
    "change",
    [
        _compiled_part,
        _compiled_head,
        _compiled_layer_in_compiled_part,
        _parallel_part,
        _compiled_in_place,
        _same_head,
        _synchronised_norms,
    ],
)
def test_wrappers_around_parts_are_looked_through(change, images, tmp_path):
    model = small()
    change(model)
    loaded = create_model(save_weights(model, tmp_path / "m.safetensors"))
    assert loaded.state_dict().keys() == small().state_dict().keys()
    torch.testing.assert_close(loaded(images), model.eval()(images))


def _other_head(model):
    model.head.fc = nn.Linear(16, 5)


def _deeper_head(model):
    model.head.fc = nn.Sequential(nn.Dropout(0.2), nn.Linear(16, 7))


def _other_stem(model):
    model.stem.conv = nn.Conv2d(3, 4, 5, padding=2, bias=False)


def _strided_stem(model):
    model.stem.conv.stride = (2, 2)


def _other_pooling(model):
    model.head.global_pool = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())


def _other_activation(model):
    model.stages[1][1].bn.act = nn.SiLU()


def _other_epsilon(model):
    model.stages[1][1].bn.eps = 0.1


def _norms_without_their_activation(model):  # PyTorch's function knows no BatchNormAct2d
    model.stages = nn.SyncBatchNorm.convert_sync_batchnorm(model.stages)


def _removed_layer(model):
    del model.stages[1][2]


def _fused_norm(model):
    part = model.stages[0][1].eval()
    part.conv = torch.nn.utils.fuse_conv_bn_eval(part.conv, part.bn)
    part.bn = nn.ReLU()


def _weight_norm(model):
    parametrizations.weight_norm(model.stem.conv)


def _old_weight_norm(model):
    nn.utils.weight_norm(model.stem.conv)


def _other_forward(model):
    forward = model.forward
    model.forward = lambda x: 2 * forward(x)


def _other_forward_of_an_untrained_head(model):
    nn.init.zeros_(model.head.fc.weight)
    model.stages[0][1].bn.act = nn.SiLU()


def _wider(model):
    model.spec = small(widths=(4, 8, 24)).spec


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_other_head, r"head\.fc\.weight is \(5, 16\) instead of \(7, 16\).*reset_classifier"),
        (_deeper_head, r"head\.fc\.weight is missing"),
        (_other_stem, r"stem\.conv\.weight is \(4, 3, 5, 5\) instead of \(4, 3, 3, 3\)"),
        (_strided_stem, r"stem\.conv is Conv2d\(3, 4, .*stride=\(2, 2\).*, not Conv2d"),
        (_other_pooling, r"head\.global_pool is Sequential\(\), not SelectAdaptivePool2d"),
        (_other_activation, r"stages\.1\.1\.bn\.act is SiLU\(\), not ReLU"),
        (_other_epsilon, r"stages\.1\.1\.bn is BatchNormAct2d\(.*eps=0\.1"),
        (
            _norms_without_their_activation,
            r"stages\.0\.1\.bn is SyncBatchNorm.*, not BatchNorm",
        ),
        (_removed_layer, r"stages\.1\.2\.conv\.weight is missing"),
        (_fused_norm, r"stages\.0\.1\.bn\.weight is missing"),
        (_weight_norm, r"stem\.conv\.weight is missing.*remove_parametrizations"),
        (_old_weight_norm, r"stem\.conv\.weight is missing.*remove_weight_norm"),
        (_other_forward, r"its forward\(\) gives other logits"),
        (_other_forward_of_an_untrained_head, r"stages\.0\.1\.bn\.act is SiLU"),
        (_wider, r"stages\.1\.1\.conv\.weight is \(16, 8, 3, 3\) instead of \(24, 8, 3, 3\)"),
    ],
)
def test_what_would_load_as_another_network_is_refused(change, named, tmp_path):
    model = small()
    path = save_weights(model, tmp_path / "m.safetensors")
    before = path.read_bytes()
    change(model)
    with pytest.raises(ValueError, match=named):
        save_weights(model, path)
    with pytest.raises(ValueError, match=named):
        medzoo.push_to_hub(model, "org/name", dry_run=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_parametrisation_that_is_removed_can_be_saved(images, tmp_path):
    model = small()
    parametrizations.weight_norm(model.stem.conv)
    with torch.no_grad():
        model.stem.conv.parametrizations.weight.original0.mul_(2)
    nn.utils.parametrize.remove_parametrizations(model.stem.conv, "weight")
    loaded = create_model(save_weights(model, tmp_path / "m.safetensors"))
    assert torch.equal(logits(loaded, images), logits(model, images))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_saved(dtype, images, tmp_path):
    model = small().to(dtype)
    loaded = create_model(save_weights(model, tmp_path / "m.safetensors"))
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    assert torch.equal(logits(loaded.to(dtype), images.to(dtype)), logits(model, images.to(dtype)))


@pytest.mark.parametrize("architecture", ["timm/test_vit", "timm/test_vit2", "timm/test_convnext"])
def test_classifiers_that_start_with_zeros_are_compared_by_their_features(architecture, tmp_path):
    model = small(architecture, size=32)
    nn.init.zeros_(model.get_classifier().weight)
    save_weights(model, tmp_path / "m.safetensors")
    [one for one in model.modules() if isinstance(one, nn.LayerNorm)][-1].eps = 0.5
    with pytest.raises(ValueError, match=r"eps=0\.5"):
        save_weights(model, tmp_path / "m.safetensors")


def test_tied_weights_are_saved(images, tmp_path):
    model = small(widths=(4, 4, 4))
    model.stages[0][2].conv.weight = model.stages[0][1].conv.weight
    loaded = create_model(save_weights(model, tmp_path / "m.safetensors"))
    assert torch.equal(logits(loaded, images), logits(model, images))


def test_saving_leaves_the_model_and_random_numbers_as_they_were(tmp_path):
    model = small(drop_rate=0.5)
    model.stages[0].eval()  # frozen statistics
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    torch.manual_seed(1)
    random.seed(1)
    save_weights(model, tmp_path / "m.safetensors")
    drawn = torch.rand(3), random.random()
    torch.manual_seed(1)
    random.seed(1)
    assert torch.equal(drawn[0], torch.rand(3))
    assert drawn[1] == random.random()
    assert modes == [module.training for module in model.modules()]
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_model_of_timm_with_its_own_stem_is_refused(tiny, tmp_path):
    model = bind_to_dataset(timm.create_model("test_resnet", num_classes=7), tiny)
    with pytest.raises(ValueError, match=r"medzoo\.create_model"):
        save_weights(model, tmp_path / "m.safetensors")


class Anything:
    def __repr__(self):
        return "Anything()"


@pytest.mark.parametrize(
    ("training", "kind", "message"),
    [
        ({"a": Anything()}, TypeError, r"training\['a'\]=Anything\(\) is of type Anything"),
        ({"a": float("nan")}, ValueError, r"training\['a'\]=nan is not a finite number"),
        ({"a": {"b": [1, float("inf")]}}, ValueError, r"training\['a'\]\['b'\]\[1\]=inf"),
        ({1: "a"}, TypeError, r"training has the key 1, expected text"),
        (5, TypeError, "training=5 is not a mapping"),
        ({"a": torch.ones(2)}, TypeError, r"training\['a'\]=tensor"),
    ],
)
def test_what_a_file_cannot_hold_is_named(training, kind, message, tmp_path):
    with pytest.raises(kind, match=f"^{message}"):
        save_weights(small(), tmp_path / "a.safetensors", training=training)
    assert not list(tmp_path.iterdir())


def test_nested_values_have_an_end(tmp_path):
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match=r"training\['a'\]\[0\].* more than 64 levels"):
        save_weights(small(), tmp_path / "a.safetensors", training={"a": endless})


def test_a_path_of_another_type_is_named():
    with pytest.raises(TypeError, match="path=5 is of type int, expected a path"):
        save_weights(small(), 5)
