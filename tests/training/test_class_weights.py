"""Class weights as numbers: the factors of PyTorch's losses, for each class or by name."""

import json

import pytest
import torch
import torch.nn.functional as F

from medzoo import synthetic
from medzoo.training import Recipe, Trainer
from medzoo.training.loss import class_weights, soft_targets, task_loss
from medzoo.weights import read_config
from tests.training.quick import QUICK, same, small

CPU = torch.device("cpu")
SETS = ["dermamnist", "retinamnist", "breastmnist", "chestmnist"]


def numbers(count):
    return [0.5 + number for number in range(count)]


def data_of(name):
    return synthetic(name, n_train=32, n_val=16, n_test=8)


@pytest.mark.parametrize("name", SETS)
def test_they_are_the_weights_of_the_loss(name):
    split = data_of(name).train
    weights = numbers(split.info.num_classes)
    logits = torch.randn(len(split), split.info.num_classes, generator=torch.manual_seed(0))
    targets = soft_targets(split, 0.1)
    expected = (
        F.binary_cross_entropy_with_logits(logits, targets, pos_weight=torch.tensor(weights))
        if split.info.multi_label
        else F.cross_entropy(logits, targets, weight=torch.tensor(weights))
    )
    assert task_loss(split, tuple(weights), CPU)(logits, targets) == expected
    assert task_loss(split, "none", CPU)(logits, targets) != expected


@pytest.mark.parametrize("name", SETS)
def test_the_numbers_of_balanced_give_the_same_training(name):
    data = data_of(name)
    recipe = QUICK.with_changes(epochs=1, class_weights="balanced")
    balanced = Trainer(small(data), data, recipe, device="cpu").fit()
    own = recipe.with_changes(class_weights=class_weights(data.train))
    given = Trainer(small(data), data, own, device="cpu").fit()
    assert same(balanced.model, given.model)


def test_one_too_few_is_refused_and_names_the_classes(tiny):
    recipe = QUICK.with_changes(class_weights=numbers(6))
    message = "6 numbers, expected one for each of the 7 classes of .*melanoma"
    with pytest.raises(ValueError, match=message):
        Trainer(small(tiny), tiny, recipe, device="cpu")


@pytest.mark.parametrize("name", SETS)
def test_classes_that_are_not_named_count_one(name):
    split = data_of(name).train
    count = split.info.num_classes
    named = Recipe(class_weights={split.info.classes[1]: 3}).class_weights
    logits = torch.randn(len(split), count, generator=torch.manual_seed(0))
    targets = soft_targets(split)
    expected = task_loss(split, (1.0, 3.0, *[1.0] * (count - 2)), CPU)(logits, targets)
    assert task_loss(split, named, CPU)(logits, targets) == expected


def test_a_name_that_is_no_class_is_refused_with_close_ones(tiny):
    recipe = QUICK.with_changes(class_weights={"melanomas": 3})
    with pytest.raises(ValueError, match="class_weights 'melanomas'; did you mean 'melanoma'"):
        Trainer(small(tiny), tiny, recipe, device="cpu")


@pytest.mark.parametrize("wrong", [{}, {"melanoma": 0}, {"melanoma": "3"}, {4: 3.0}])
def test_what_names_no_weights_is_refused(wrong):
    with pytest.raises(ValueError, match="numbers above 0 by names of classes"):
        Recipe(class_weights=wrong)


def test_ones_own_loss_has_its_own_weights(tiny):
    recipe = QUICK.with_changes(class_weights=numbers(7))
    with pytest.raises(ValueError, match="weigh classes in your own loss"):
        Trainer(small(tiny), tiny, recipe, device="cpu", loss=F.cross_entropy)


@pytest.mark.parametrize("weights", [numbers(7), {"melanoma": 3.0}])
def test_they_are_in_the_weights_file_and_a_run_with_them_is_resumed(tiny, tmp_path, weights):
    recipe = QUICK.with_changes(epochs=1, class_weights=weights)
    run = Trainer(small(tiny), tiny, recipe, output=tmp_path, device="cpu").fit()
    assert read_config(run.weights).training["recipe"]["class_weights"] == weights
    read = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    again = Trainer(small(tiny), tiny, read, output=tmp_path, device="cpu").fit(resume=True)
    assert same(run.model, again.model)
