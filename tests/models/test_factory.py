"""`create_model`: names, data sets, weights files, and what it writes on the model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medzoo import create_transform, predict
from medzoo.datasets import Dataset, dataset_info, synthetic
from medzoo.errors import WeightsError
from medzoo.models import architecture_of, create_model, list_models, save_weights
from medzoo.weights import weights_index
from tests.models.conftest import noise


@pytest.fixture
def saved(tmp_path, tiny):
    """A weights file of a small RGB model of `tiny`'s 7 classes, and the model."""
    torch.manual_seed(0)
    model = create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16), drop_rate=0.1).eval()
    return save_weights(model, tmp_path / "small.safetensors"), model


def same_backbone(one, other, *apart):
    mine, theirs = one.state_dict(), other.state_dict()
    names = [name for name in mine if not name.startswith(("head", *apart))]
    return bool(names) and all(torch.equal(mine[name], theirs[name]) for name in names)


# Names


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("advancedcnn", "unknown model 'advancedcnn'; did you mean 'advanced_cnn'"),
        ("resnet99.dermamnist", r"unknown model 'resnet99\.dermamnist'"),
        (
            "timm/resnet18.foo",
            r"unknown timm weights 'resnet18\.foo'; did you mean 'resnet18\.",
        ),
        ("timm/resnet1", "unknown timm architecture 'resnet1'; did you mean 'resnet18'"),
        ("model.pt", "'model.pt' is not a weights file"),
    ],
)
def test_unknown_name(name, match):
    with pytest.raises(ValueError, match=match):
        create_model(name)


def test_unknown_dataset():
    with pytest.raises(ValueError, match="unknown dataset 'dermmnist'; did you mean 'dermamnist'"):
        create_model("simple_cnn", dataset="dermmnist")


def test_pretrained_needs_to_know_which_weights():
    with pytest.raises(ValueError, match="Published for it"):
        create_model("simple_cnn", pretrained=True)


@pytest.mark.parametrize("dataset", [None, "retinamnist"])
def test_a_tag_without_pretrained_is_never_silently_untrained(dataset):
    with pytest.raises(ValueError, match="pretrained=True"):
        create_model("advanced_cnn.dermamnist", dataset=dataset)


@pytest.mark.parametrize("name", list_models())
def test_weights_that_do_not_exist(name):
    absent = "organsmnist"
    if f"{name}.{absent}" in weights_index():
        pytest.skip("these weights were published since")
    for arguments in ((name, absent), (f"{name}.{absent}",)):
        with pytest.raises(WeightsError, match="no weights were published") as error:
            create_model(*arguments, pretrained=True)
        assert f"medzoo train {name} --dataset {absent}" in str(error.value)
        assert all(known in str(error.value) for known in weights_index())


def test_list_models():
    assert list_models() == sorted(list_models())
    assert list_models(pretrained=True) == sorted(weights_index())


# What the model is for


def test_a_data_set_decides_channels_classes_size_and_normalisation():
    data = synthetic("breastmnist", size=36, n_train=8, n_val=4, n_test=4)
    model = create_model("simple_cnn", dataset=data, widths=(4, 8, 16))
    assert model.pretrained_cfg["input_size"] == (1, 36, 36)
    assert (model.pretrained_cfg["mean"], model.pretrained_cfg["std"]) == data.mean_std()
    assert model.num_classes == model.pretrained_cfg["num_classes"] == 2
    assert model.dataset.name == data.info.name
    assert (model.dataset.mean, model.dataset.std) == data.mean_std()


@pytest.mark.parametrize("dataset", ["octmnist", dataset_info("octmnist")])
def test_a_data_set_by_name_or_info(dataset):
    model = create_model("simple_cnn", dataset=dataset, widths=(4, 8, 16), size=64)
    assert model.pretrained_cfg["input_size"] == (1, 64, 64)
    assert model.num_classes == 4
    assert model.dataset == dataset_info("octmnist")
    assert create_transform(model)(torch.zeros(1, 30, 30)).shape == (1, 64, 64)


def test_a_number_of_classes_that_contradicts_the_data_set_is_refused(tiny, saved):
    # Class names and logits would no longer belong together.
    for name in ("simple_cnn", saved[0]):
        with pytest.raises(ValueError, match="num_classes=3"):
            create_model(name, dataset=tiny, num_classes=3)


def test_a_file_with_another_number_of_classes_forgets_its_data_set(saved):
    model = create_model(saved[0], num_classes=3)
    assert model.dataset is None
    assert model(noise(1, 3, 28, 28)).shape == (1, 3)
    assert same_backbone(model, saved[1])


def test_other_channels_than_the_data_set_has(tiny):
    model = create_model("simple_cnn", dataset=tiny, in_chans=1, widths=(4, 8, 16))
    image = tiny.test.images[0].permute(1, 2, 0).numpy()
    assert create_transform(model)(image).shape == (1, 28, 28)


def test_constant_channel_has_no_spread_to_scale_by():
    images = synthetic("dermamnist", n_train=8, n_val=4, n_test=4).train.images.clone()
    images[:, 2] = 7
    part = (images, torch.arange(8) % 2)
    model = create_model(
        "simple_cnn", dataset=Dataset.from_arrays(part, part, part), widths=(4, 8, 16)
    )
    assert create_transform(model)(images[0]).isfinite().all()


def test_model_arguments_reach_the_model_and_the_file(saved):
    path, model = saved
    assert model.head.drop.p == 0.1
    again = create_model(path)
    assert again.spec.model_args == {"widths": [4, 8, 16], "drop_rate": 0.1}
    assert create_model(path, drop_rate=0.3).head.drop.p == 0.3
    with pytest.raises(TypeError, match="wdith"):
        create_model("simple_cnn", wdith=4)


# Weights files


@pytest.mark.parametrize("name", list_models())
@torch.no_grad()
def test_round_trip_is_bitwise(name, tmp_path):
    torch.manual_seed(1)
    model = create_model(name, dataset="octmnist").eval()
    path = save_weights(model, tmp_path / "whole.safetensors")
    again = create_model(path)
    x = noise(2, 1, 28, 28)
    assert torch.equal(again(x), model(x))
    assert not again.training
    assert again.dataset == model.dataset
    assert again.architecture == name
    half = create_model(save_weights(model, tmp_path / "half.safetensors", precision="float16"))
    assert all(p.dtype == torch.float32 for p in half.parameters())
    torch.testing.assert_close(half(x), model(x), atol=5e-3, rtol=5e-3)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.55 * path.stat().st_size


def test_the_files_own_data_set_keeps_the_classifier(saved, tiny):
    path, model = saved
    for dataset in (None, tiny, tiny.info):
        again = create_model(path, dataset=dataset)
        assert torch.equal(again.get_classifier().weight, model.get_classifier().weight)


@pytest.mark.parametrize("count", [7, 4])
def test_another_data_set_keeps_the_backbone_and_gets_a_new_classifier(saved, count):
    path, model = saved
    other = synthetic(num_classes=count, n_train=8, n_val=4, n_test=4)
    again = create_model(path, dataset=other)
    assert same_backbone(again, model)
    assert again.num_classes == count
    assert not torch.equal(again.get_classifier().weight[:4], model.get_classifier().weight[:4])
    assert again.dataset.name == other.info.name
    assert predict(again, other.test.images[0]).label in other.info.classes


def test_features_of_a_weights_file(saved):
    path, model = saved
    backbone = create_model(path, features_only=True)
    x = noise(2, 3, 28, 28)
    expected = model.forward_intermediates(x, intermediates_only=True)
    for found, feature in zip(backbone(x), expected, strict=True):
        assert torch.equal(found, feature)
    gray = create_model(path, dataset="octmnist", features_only=True)
    assert [f.shape[1] for f in gray(noise(1, 1, 28, 28))] == [8, 16]


def test_weights_that_do_not_fit_say_so(saved):
    with pytest.raises(WeightsError, match="do not fit simple_cnn"):
        create_model(saved[0], widths=(8, 16, 32))


def test_missing_file():
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors does not exist"):
        create_model("nowhere.safetensors")


# Channels of the stem


@torch.no_grad()
@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize(("trained", "wanted"), [(3, 1), (1, 3), (1, 5)])
def test_stem_adapts_between_gray_and_colour(name, trained, wanted, tmp_path):
    torch.manual_seed(2)
    model = create_model(name, num_classes=3, in_chans=trained).eval()
    path = save_weights(model, tmp_path / "w.safetensors")
    adapted = create_model(path, in_chans=wanted)
    gray = noise(2, 1, 28, 28)
    expected = model(gray.expand(-1, trained, -1, -1))
    torch.testing.assert_close(
        adapted(gray.expand(-1, wanted, -1, -1)), expected, atol=1e-5, rtol=1e-4
    )
    assert adapted.pretrained_cfg["input_size"] == (wanted, 28, 28)


@torch.no_grad()
def test_stem_adapts_to_a_data_set(saved):
    path, model = saved
    gray = create_model(path, dataset="breastmnist")
    x = noise(2, 1, 28, 28)
    torch.testing.assert_close(
        gray.forward_features(x), model.forward_features(x.expand(-1, 3, -1, -1))
    )
    assert gray.num_classes == 2


# timm's architectures


def test_resnet_gets_a_small_stem(tiny):
    model = create_model("timm/resnet18", dataset=tiny)
    assert (model.conv1.kernel_size, model.conv1.stride) == ((3, 3), (1, 1))
    assert isinstance(model.maxpool, torch.nn.Identity)
    assert model(noise(2, 3, 28, 28)).shape == (2, 7)
    assert model.forward_features(noise(2, 3, 28, 28)).shape[-1] == 4
    assert model.pretrained_cfg["input_size"] == (3, 28, 28)


def test_large_images_keep_timms_stem():
    model = create_model("timm/resnet18", dataset="octmnist", size=128)
    assert (model.conv1.kernel_size, model.conv1.stride) == ((7, 7), (2, 2))
    assert model.conv1.in_channels == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mobilenetv3_small_050", {}),
        ("efficientnet_b0", {}),
        ("convnext_atto", {}),
        ("regnetx_002", {}),
        ("vit_tiny_patch16_224", {"patch_size": 4, "depth": 2}),
        ("mixer_s16_224", {}),
    ],
)
def test_timm_families_run_on_small_images(name, arguments):
    model = create_model(f"timm/{name}", dataset="breastmnist", **arguments).eval()
    with torch.inference_mode():
        logits = model(noise(2, 1, 28, 28))
    assert logits.shape == (2, 2)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("test_vit", "size=28 is not a multiple of 16.*'test_vit'; give size=32"),
        ("xcit_nano_12_p8_224", "'xcit_nano_12_p8_224' for size=28.*give another size"),
    ],
)
def test_a_size_that_a_network_of_timms_cannot_take(name, match):
    with pytest.raises(ValueError, match=match):
        create_model(f"timm/{name}", dataset="breastmnist")


def test_the_size_that_is_advised_works():
    model = create_model("timm/test_vit", dataset="breastmnist", size=32).eval()
    assert model(noise(1, 1, 32, 32)).shape == (1, 2)


def test_patches_stay_as_they_are():
    model = create_model("timm/vit_tiny_patch16_224", num_classes=2, depth=1)
    assert (model.patch_embed.proj.kernel_size, model.patch_embed.proj.stride) == ((16, 16),) * 2


@torch.no_grad()
def test_timm_weights_file_round_trip(tmp_path, tiny):
    model = create_model("timm/mobilenetv3_small_050", dataset=tiny).eval()
    path = save_weights(model, tmp_path / "timm.safetensors")
    x = noise(2, 3, 28, 28)
    assert torch.equal(create_model(path)(x), model(x))


def test_timm_weights_file_for_another_data_set(tmp_path, tiny):
    model = create_model("timm/resnet18", dataset=tiny)
    path = save_weights(model, tmp_path / "timm.safetensors")
    again = create_model(path, dataset="breastmnist")
    assert same_backbone(again, model, "conv1", "fc")
    assert again(noise(1, 1, 28, 28)).shape == (1, 2)
    gray = noise(1, 1, 28, 28)
    torch.testing.assert_close(
        again.forward_features(gray),
        model.eval().forward_features(gray.expand(-1, 3, -1, -1)),
        atol=1e-4,
        rtol=1e-4,
    )


def test_info_with_statistics_normalises_by_them():
    info = replace(dataset_info("octmnist"), mean=(0.2,), std=(0.3,))
    cfg = create_model("simple_cnn", dataset=info, widths=(4, 8, 16)).pretrained_cfg
    assert (cfg["mean"], cfg["std"]) == ((0.2,), (0.3,))


def test_timm_keeps_its_own_normalisation_unless_data_tell_better(tiny):
    imagenet = (0.485, 0.456, 0.406)
    assert create_model("timm/resnet18").pretrained_cfg["mean"] == imagenet
    assert create_model("timm/resnet18", dataset=tiny).pretrained_cfg["mean"] == tiny.mean_std()[0]


def test_a_file_as_data_set_says_how_to_open_it():
    with pytest.raises(ValueError, match="load_dataset"):
        create_model("simple_cnn", dataset="mine.npz")


def test_architecture_of_any_name(saved):
    assert architecture_of(saved[0]) == "simple_cnn"
    assert architecture_of("efficientnet.dermamnist") == "efficientnet"
    assert architecture_of("timm/resnet18.a1_in1k") == "timm/resnet18.a1_in1k"


def test_weights_keep_their_normalisation_and_sets_for_any_part_of_their_data():
    stored = create_model("simple_cnn.breastmnist", pretrained=True)
    made_up = synthetic("breastmnist", n_train=16, n_val=8, n_test=8)
    info = dataset_info("breastmnist")
    splits = {name: replace(split, info=info) for name, split in made_up.splits.items()}
    part = replace(made_up, info=info, **splits)
    assert part.mean_std()[0] != stored.spec.input.mean
    for data in (part, replace(part, train=None, val=None)):
        model = create_model("simple_cnn.breastmnist", dataset=data, pretrained=True)
        assert model.spec.input == stored.spec.input
        assert model.spec.conformal == stored.spec.conformal is not None
        assert model.ood_detector is not None


def test_data_of_ones_own_with_the_same_names_has_its_own_normalisation(tmp_path):
    def own(brightest):
        parts = []
        for seed in range(3):
            rng = np.random.default_rng(seed)
            images = rng.integers(0, brightest, (8, 28, 28), dtype=np.uint8)
            parts.append((images, np.arange(8) % 2))
        return Dataset.from_arrays(*parts)

    first, second = own(255), own(30)
    model = create_model("simple_cnn", dataset=first, widths=(4, 8, 16))
    path = save_weights(model, tmp_path / "own.safetensors")
    assert create_model(path).spec.input.mean == first.mean_std()[0]
    assert create_model(path, dataset=second).spec.input.mean == second.mean_std()[0]


def test_other_arguments_drop_what_was_fitted_to_the_probabilities():
    name = "simple_cnn.breastmnist"
    assert create_model(name, pretrained=True).spec.conformal is not None
    model = create_model(name, pretrained=True, global_pool="max")
    assert model.spec.conformal is model.spec.selective is model.ood_detector is None
