"""The ablations: what a trial changes, and how it is scored."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies import ablations
from benchmarks.studies.ablation_trials import ablations as all_trials

NARROW = {
    "epochs": 1,
    "model_args": {"widths": (4, 8), "depths": (1, 1), "strides": (1, 2)},
}


class Synthetic(Source):
    """Returns synthetic images of any size instead of MedMNIST files."""

    def load(self, dataset, size=28):
        return medzoo.synthetic(dataset, size=size, n_train=140, n_val=70, n_test=10)


def named(name):
    (trial,) = (t for t in all_trials() if t.name == name and t.dataset == "dermamnist")
    return replace(trial, changes={**trial.changes, **NARROW})


def test_no_two_trials_share_a_record():
    assert len({trial.key for trial in all_trials()}) == len(all_trials())


@pytest.mark.parametrize("trial", all_trials(), ids=lambda trial: trial.key)
def test_a_trial_is_a_recipe_with_an_architecture(trial):
    recipe = trial.base.with_changes(**trial.changes)
    kwargs = {"num_classes": 3} | dict(recipe.model_args)
    assert medzoo.create_model(trial.model, **kwargs)(torch.zeros(2, 3, 28, 28)).shape == (2, 3)


def test_a_trial_is_scored_by_what_its_training_found():
    record = ablations.run(named("base"), Synthetic())
    data = Synthetic().load("dermamnist")
    recipe = medzoo.Recipe.from_dict(record["recipe"])
    last = medzoo.train("advanced_cnn", data, recipe).history[-1]
    assert {name: record[name] for name in ("val_auc", "val_acc", "val_loss")} == {
        name: last[name] for name in ("val_auc", "val_acc", "val_loss")
    }


@pytest.mark.parametrize(
    ("name", "trained", "given", "seen"),
    [
        ("validated at 64 px", 28, 64, 64),
        ("64 px, one more halving; validated at 28 px", 64, 28, 64),
    ],
)
def test_a_trial_can_be_validated_in_another_size(name, trained, given, seen, monkeypatch):
    calls = []
    monkeypatch.setattr(
        ablations, "_scores", lambda model, val, size: calls.append((model, val, size)) or SCORES
    )
    trial = replace(named(name), changes=NARROW)
    assert ablations.run(trial, Synthetic())["val_auc"] == 0.9
    ((model, val, size),) = calls
    assert model.pretrained_cfg["input_size"][1] == trained
    assert (val.images.shape[-1], size) == (given, seen)


SCORES = {"val_auc": 0.9, "val_acc": 0.8, "val_loss": 0.5}


def test_adjusted_logits_are_less_by_the_share_of_their_class(monkeypatch):
    models = []
    monkeypatch.setattr(
        ablations, "_scores", lambda model, val, size: models.append(model) or SCORES
    )
    trial = named("logits adjusted by the classes' shares")
    ablations.run(trial, Synthetic())
    data = Synthetic().load("dermamnist")
    plain = ablations._train(trial, data, trial.base.with_changes(**NARROW), {})
    found = models[0].get_classifier().bias - plain.model.get_classifier().bias
    counts = torch.tensor([int((data.train.labels == k).sum()) for k in range(7)])
    assert torch.allclose(found.detach(), -(counts / 140).log(), atol=1e-4)


class Uneven(Synthetic):
    """Returns a training split in which the first class is four times as frequent as the others."""

    def load(self, dataset, size=28):
        data = super().load(dataset, size)
        rows = torch.cat(
            [torch.where(data.train.labels == k)[0][: 5 if k else 20] for k in range(7)]
        )
        return replace(data, train=data.train.subset(rows))


def test_a_trial_can_see_images_of_rare_classes_more_often(monkeypatch):
    seen = []
    train = ablations._train
    monkeypatch.setattr(ablations, "_train", lambda t, d, *a: seen.append(d) or train(t, d, *a))
    ablations.run(named("all classes as often, 3 epochs"), Uneven())
    ((images, labels),) = ((data.train.images, data.train.labels) for data in seen)
    assert labels.bincount().tolist() == [20] * 7
    assert len(images.flatten(1).unique(dim=0)) == 20 + 6 * 5


def test_a_trial_can_be_scored_on_changed_validation_images_as_well():
    trial = next(one for one in all_trials() if one.also and "widen" in str(one.changes))
    small = {"epochs": 1, "model_args": {"widths": (4, 4, 8)}}
    trial = replace(trial, changes={**trial.changes, **small}, seeds=2)
    record = ablations.run(trial, Synthetic())
    assert record["runs"] == 2
    data = Synthetic().load("octmnist")
    middle = data.val.images[..., 7:21].float()
    wide = (F.interpolate(middle, (28, 28), mode="bilinear") + 0.1).round().byte()
    aucs = {"val": [], "stretched": []}
    for seed in range(2):
        recipe = medzoo.Recipe.from_dict(record["recipe"]).with_changes(seed=seed)
        model = medzoo.train("simple_cnn", data, recipe).model
        model.temperature = 1.0
        for name, images in (("val", data.val.images), ("stretched", wide)):
            split = replace(data.val, images=images)
            aucs[name].append(medzoo.evaluate(model, split, resamples=0).auc)
    assert record["val_auc"] == pytest.approx(sum(aucs["val"]) / 2)
    assert record["also"]["val_auc"] == pytest.approx(sum(aucs["stretched"]) / 2)
