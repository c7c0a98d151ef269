"""The study of small folders: how a folder is imitated, and what is trained on it."""

from types import SimpleNamespace

import pytest
import torch

import medzoo
from benchmarks.studies import small_folders
from benchmarks.studies.small_folders import SETTINGS, FolderTrial, recipe_of, small_folder


@pytest.fixture(scope="module")
def folder():
    data = medzoo.synthetic("dermamnist", n_train=300, n_val=60, n_test=7)
    return data, small_folder(data, 100, seed=0)


def test_a_folder_is_split_like_one_and_shares_no_image_with_what_measures_it(folder):
    data, made = folder
    assert [len(split) for split in made.splits.values()][:2] == pytest.approx([70, 15], abs=4)
    assert len(made.test) == 260
    assert made.info.classes == data.info.classes
    pixels = {
        name: {image.numpy().tobytes() for image in s.images} for name, s in made.splits.items()
    }
    test = {image.numpy().tobytes() for image in data.test.images}
    assert not pixels["test"] & (pixels["train"] | pixels["val"])
    assert not test & (pixels["train"] | pixels["val"] | pixels["test"])


def test_another_seed_draws_other_images(folder):
    data, made = folder
    assert not torch.equal(made.train.images, small_folder(data, 100, seed=1).train.images)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_is_a_recipe(folder, setting):
    _, made = folder
    recipe = recipe_of(FolderTrial("dermamnist", 100, setting, seed=3), made)
    assert recipe.seed == 3
    if steps := SETTINGS[setting].get("steps"):
        assert recipe.epochs * len(made.train) / recipe.batch_size == pytest.approx(steps, rel=0.05)


def test_records_of_other_weights_of_classes_are_repeated(folder):
    data, made = folder
    source = SimpleNamespace(load=lambda name: data)
    for setting in SETTINGS:
        trial = FolderTrial("dermamnist", 100, setting, seed=0)
        record = {"recipe": recipe_of(trial, made).to_dict()}
        weighs = record["recipe"]["class_weights"] != "none"
        assert small_folders.is_current(record, trial, source) != weighs
        assert small_folders.is_current(record | {"weights": "images"}, trial, source)
        other = {"recipe": record["recipe"] | {"epochs": 1}, "weights": "images"}
        assert not small_folders.is_current(other, trial, source)
    assert any(SETTINGS[setting].get("class_weights") for setting in SETTINGS)


def test_the_table_counts_what_all_settings_were_tried_on():
    scores = {"auc": 0.5, "balanced_acc": 0.25, "worst_recall": 0.0, "ece": 0.125}
    first, *others = SETTINGS
    records = {
        FolderTrial("octmnist", 200, setting, seed).key: scores
        for setting in SETTINGS
        for seed in (0, 1)
    }
    better = {**scores, "auc": 1.0}
    records[FolderTrial("octmnist", 200, first, 0).key] = better
    records[FolderTrial("bloodmnist", 100, first, 0).key] = better  # not tried with the others
    rows = small_folders.table(records).splitlines()
    assert f"| {first} | 2 | 0.750 | 0.250 | 0.000 | 0.125 |" in rows
    assert f"| {others[-1]} | 2 | 0.500 | 0.250 | 0.000 | 0.125 |" in rows
