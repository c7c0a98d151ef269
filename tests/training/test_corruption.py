"""Training images may be damaged: some of them, by the chosen families, and repeatably."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import medzoo
from medzoo.images import corruptions_for
from medzoo.training import Augmentation, BatchAugmenter, Recipe
from medzoo.training.augment import choose_corruptions
from medzoo.training.recipes import load_recipe
from tests.training.quick import QUICK, small

NOISE = Augmentation(corruption=0.5, corruptions=["noise"], corruptions_like="retinamnist")


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("retinamnist", n_train=64, n_val=10, n_test=5)


def augmented(augmentation, split, seed=0):
    corruptions = choose_corruptions(augmentation, split)
    channels = split.info.channels
    augmenter = BatchAugmenter(
        augmentation, (0.0,) * channels, (1 / 255,) * channels, "cpu", corruptions
    )
    targets = torch.zeros(len(split), 5)
    return augmenter(split.images, targets, np.random.default_rng(seed))[0].round().byte()


def test_about_the_chosen_share_is_damaged_and_the_rest_is_as_it_was(data):
    before = data.train.images.clone()
    changed = (augmented(NOISE, data.train) != before).flatten(1).any(1)
    assert torch.equal(data.train.images, before)
    assert 16 < changed.sum() < 48
    every = replace(NOISE, corruption=1.0)
    assert (augmented(every, data.train) != before).flatten(1).any(1).all()


def test_a_seed_repeats_the_damage(data):
    first = augmented(NOISE, data.train, seed=3)
    assert torch.equal(augmented(NOISE, data.train, seed=3), first)
    assert not torch.equal(augmented(NOISE, data.train, seed=4), first)


def test_only_the_families_that_are_named(data):
    chosen = choose_corruptions(NOISE, data.train)
    assert {one.name for one in chosen} == {"gaussian_noise", "speckle_noise"}
    assert choose_corruptions(Augmentation(), data.train) == []


def test_own_data_need_the_name_of_similar_data():
    own = medzoo.synthetic("breastmnist", n_train=16, n_val=8, n_test=8)
    model = small(own)
    before = [value.clone() for value in model.state_dict().values()]
    blur = {"corruption": 0.5, "corruptions": ["blur"]}

    def trainer(**changes):
        recipe = replace(QUICK, epochs=1).with_changes(augmentation=blur | changes)
        return medzoo.Trainer(model, own, recipe, progress=False)

    with pytest.raises(ValueError, match=r"most similar images as augmentation\.corruptions_like"):
        trainer()
    with pytest.raises(ValueError, match="images are gray"):
        trainer(corruptions_like="pathmnist", corruptions=["colour"])
    with pytest.raises(ValueError, match="none of them for bloodmnist; it has blur"):
        trainer(corruptions_like="bloodmnist", corruptions=["noise"])
    after = model.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert len(trainer(corruptions_like="breastmnist").fit().history) == 1


def test_the_bundled_recipe_adds_damage_and_changes_nothing_else(data):
    robust, default = (load_recipe(name, "simple_cnn", data) for name in ("robust", "default"))
    changes = {"corruption": 0.5, "corruptions": ("noise", "blur")}
    assert robust == default.with_changes(augmentation=changes)
    assert Recipe.from_dict(json.loads(json.dumps(robust.to_dict()))) == robust
    for dataset in medzoo.list_datasets():
        families = {one.family for one in corruptions_for(dataset).values()}
        assert families & {*robust.augmentation.corruptions}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"corruption": 0.5}, "above 0 together with corruptions"),
        ({"corruptions": ["blur"]}, "above 0 together with corruptions"),
        ({"corruption": 2, "corruptions": ["blur"]}, "a probability"),
        ({"corruption": 0.5, "corruptions": ["blurr"]}, "'digital', 'noise', 'blur'"),
        ({"corruption": 0.5, "corruptions": "blur"}, "a list of"),
        ({"corruptions_like": 3}, "the name of a data set"),
    ],
)
def test_fields_that_do_not_fit(fields, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**fields)


def test_damage_needs_something_to_damage_with():
    wanted = Augmentation(corruption=1.0, corruptions=("noise",))
    with pytest.raises(ValueError, match=r"corruptions is empty; give .*choose_corruptions"):
        BatchAugmenter(wanted, (0.5,), (0.5,))
