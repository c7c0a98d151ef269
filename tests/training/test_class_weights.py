"""Class weights are factors on the loss, for each class or by name."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from medzoo import synthetic
from medzoo.inference import probabilities
from medzoo.training import Recipe, Trainer
from medzoo.training.loss import class_weights, soft_targets, task_loss, weigh_labels
from medzoo.weights import read_config
from tests.training.quick import QUICK, same, small

CPU = torch.device("cpu")
SETS = ["dermamnist", "retinamnist", "breastmnist", "chestmnist"]


def numbers(count):
    return [0.5 + number for number in range(count)]


def data_of(name):
    return synthetic(name, n_train=32, n_val=16, n_test=8)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.45])
@pytest.mark.parametrize("name", SETS)
def test_they_are_factors_on_the_loss_of_what_has_the_label(name, smoothing):
    split = data_of(name).train
    weights = numbers(split.info.num_classes)
    logits = torch.randn(len(split), split.info.num_classes, generator=torch.manual_seed(0))
    targets = soft_targets(split, smoothing)
    if split.info.multi_label:
        factors = torch.where(split.labels == 1, torch.tensor(weights), 1.0)
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    else:
        factors = torch.tensor(weights)[split.labels]
        losses = F.cross_entropy(logits, targets, reduction="none")
    value = task_loss(split, tuple(weights), smoothing, CPU)(logits, targets)
    torch.testing.assert_close(value, (losses * factors).mean())
    assert task_loss(split, "none", smoothing, CPU)(logits, targets) != value


@pytest.mark.parametrize("name", ["breastmnist", "chestmnist"])
def test_what_is_rare_is_not_seen_everywhere(name):
    data = synthetic(name, n_train=200, n_val=16, n_test=8).train
    labels = torch.zeros_like(data.labels)
    labels[:2] = 1  # one in a hundred
    split = replace(data, labels=labels)
    logits = torch.zeros(2, split.info.num_classes, requires_grad=True)
    targets = soft_targets(split, 0.1)[[0, 199]]  # with the label, and without
    loss = task_loss(split, "balanced", 0.1, CPU)
    optimizer = torch.optim.LBFGS([logits], max_iter=100)

    def closure():
        optimizer.zero_grad()
        value = loss(logits, targets)
        value.backward()
        return value

    optimizer.step(closure)
    answers = probabilities(logits.detach(), split.info.task).float()
    torch.testing.assert_close(answers, targets, atol=0.01, rtol=0)


def test_a_mixture_has_the_mean_of_the_weights_also_if_a_teacher_is_certain():
    split = data_of("dermamnist").train
    weights = torch.tensor(numbers(7))
    classes = torch.eye(7)
    smoothed = classes.lerp(torch.full((7, 7), 1 / 7), 0.1)
    weigh = weigh_labels(split, weights, 0.1, CPU)
    torch.testing.assert_close(weigh(smoothed), weights)
    torch.testing.assert_close(weigh(classes), weights)
    mean = (3 * weights[0] + weights[4]).item() / 4
    for one, accuracy in ((smoothed, 1e-4), (classes, 0.03)):
        mixed = weigh(one[[0]].lerp(one[[4]], 0.25))
        assert mixed.item() == pytest.approx(mean, rel=accuracy)


def test_grades_that_smoothing_hides_cannot_be_weighed():
    data = data_of("retinamnist")
    recipe = QUICK.with_changes(class_weights="balanced", label_smoothing=0.5)
    with pytest.raises(ValueError, match=r"label_smoothing=0\.5 hides .* give less than 0\.5"):
        Trainer(small(data), data, recipe, device="cpu")


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_label_that_all_or_none_have_is_not_weighed(value):
    data = data_of("chestmnist").train
    labels = data.labels.clone()
    labels[:, 3] = value
    assert class_weights(replace(data, labels=labels))[3] == 1


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
    expected = task_loss(split, (1.0, 3.0, *[1.0] * (count - 2)), 0.0, CPU)(logits, targets)
    assert task_loss(split, named, 0.0, CPU)(logits, targets) == expected


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
