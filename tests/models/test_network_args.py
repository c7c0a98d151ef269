"""An architecture's name means the same network for a data set, wherever it is built."""

import pytest

import medzoo
from medzoo.datasets.info import split_tag
from medzoo.models import network_args


@pytest.mark.parametrize("name", medzoo.list_models(pretrained=True))
def test_published_weights_fit_the_network_of_their_data_set(name):
    architecture, _, tag = name.partition(".")
    dataset, size = split_tag(tag)
    if dataset not in medzoo.list_datasets():
        pytest.skip("trained on several data sets")
    published = medzoo.create_model(name, pretrained=True)
    assert published.spec.input.size == size
    plain = medzoo.create_model(architecture, dataset=dataset, size=size)
    plain.load_state_dict(published.state_dict())
    assert plain.spec.model_args.get("widths") == published.spec.model_args.get("widths")


@pytest.mark.parametrize("architecture", medzoo.list_models())
@pytest.mark.parametrize("dataset", ["breastmnist", "dermamnist", "pathmnist"])
def test_training_and_create_model_build_the_same_network(architecture, dataset):
    made = medzoo.create_model(architecture, dataset=dataset)
    recipe = medzoo.recipe_for(architecture, dataset)
    trained = medzoo.create_model(architecture, dataset=dataset, **recipe.model_args)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (made, trained)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("architecture", medzoo.list_models())
@pytest.mark.parametrize("dataset", ["pathmnist", "breastmnist"])
@pytest.mark.parametrize(("size", "finest"), [(64, 2), (128, 4), (224, 8)])
def test_larger_images_are_halved_more_often(architecture, dataset, size, finest):
    small = medzoo.create_model(architecture, dataset=dataset)
    large = medzoo.create_model(architecture, dataset=dataset, size=size)
    assert medzoo.recipe_for(architecture, f"{dataset}_{size}").model_args | {"drop_rate": 0} == {
        **large.spec.model_args,
        "drop_rate": 0,
    }
    counts = [sum(p.numel() for p in model.parameters()) for model in (small, large)]
    assert counts[1] == pytest.approx(counts[0], rel=0.05)
    reductions = [max(f["reduction"] for f in model.feature_info) for model in (small, large)]
    assert 2 <= reductions[1] / reductions[0] <= finest


def test_weights_are_chosen_by_the_size_of_the_images():
    assert medzoo.create_model("simple_cnn", dataset="retinamnist", pretrained=True)
    message = r"retinamnist at 64 px.*create_model\('simple_cnn.retinamnist'.*size=64\)"
    with pytest.raises(medzoo.WeightsError, match=message):
        medzoo.create_model("simple_cnn", dataset="retinamnist", size=64, pretrained=True)
    named = medzoo.create_model("simple_cnn.retinamnist", size=64, pretrained=True)
    assert named.spec.input.size == 64


def test_arguments_of_the_caller_come_first():
    own = {"widths": [8, 16], "depths": [1, 1], "strides": [1, 2]}
    model = medzoo.create_model("advanced_cnn", dataset="breastmnist", **own)
    assert model.num_features == 16
    assert model.spec.model_args == own


def test_own_data_and_other_networks_have_the_defaults(tiny):
    assert network_args("simple_cnn", "breastmnist") == {}
    assert network_args("advanced_cnn", "own") == {}
    assert network_args("timm/resnet18", "breastmnist") == {}
    network_args("advanced_cnn", "breastmnist")["widths"].clear()
    assert network_args("advanced_cnn", "breastmnist")["widths"]
