"""The licence of weights, and of what was made from several."""

import pytest

import medzoo
from medzoo.models import save_weights
from medzoo.weights import read_config, weights_index
from medzoo.weights.licence import is_noncommercial, strictest

NC, BY = "CC BY-NC 4.0", "CC BY 4.0"


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ((BY,), BY),
        ((BY, NC), NC),
        ((NC, BY), NC),
        ((BY, "", NC), NC),
        ((BY, "cc-by-nc-4.0"), "cc-by-nc-4.0"),
        ((NC, "CC BY-NC-SA 4.0"), "CC BY-NC-SA 4.0"),
        (("CC BY-SA 4.0", NC), NC),
        ((BY, ""), BY),
        # A backbone that anybody may use does not give away images of somebody's own.
        (("", BY), ""),
        (("", NC), NC),
    ],
)
def test_the_strictest_licence_holds(licences, expected):
    assert strictest(*licences) == expected


@pytest.mark.parametrize("licence", ["Our own licence", "Apache-2.0", BY, ""])
def test_only_what_says_so_is_noncommercial(licence):
    assert is_noncommercial(NC)
    assert not is_noncommercial(licence)


@pytest.mark.parametrize("name", ["simple_cnn.dermamnist", "advanced_cnn.medmnist"])
def test_a_model_knows_the_licence_of_its_weights(name, tmp_path):
    model = medzoo.create_model(name, dataset="breastmnist", pretrained=True)
    assert model.licence == weights_index()[name].licence == NC
    assert model.dataset.licence == BY  # the images', not the weights'
    path = save_weights(model, tmp_path / "own.safetensors")
    assert read_config(path).spec.licence == NC
    assert medzoo.create_model(path).licence == NC


def test_a_model_that_timm_built_of_published_weights_knows_it_too():
    import timm

    model = timm.create_model("medzoo_simple_cnn.dermamnist", pretrained=True)
    assert model.licence == medzoo.spec_of(model).licence == NC


def test_untrained_weights_have_none():
    assert medzoo.create_model("simple_cnn", dataset="dermamnist").licence == ""


def test_an_ensemble_has_its_strictest_members_licence():
    names = ["simple_cnn.breastmnist", "efficientnet.breastmnist"]
    ensemble = medzoo.Ensemble(names)
    assert ensemble.licence == BY
    ensemble.members[1].licence = NC
    assert medzoo.Ensemble(ensemble.members).licence == NC
