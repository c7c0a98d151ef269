"""The studies of damaged images: records can be read again, and tables show what is known."""

import json

import pytest

import medzoo
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.robustness import agreement, published, recipe
from medzoo.images import corruptions_for


class Synthetic(Source):
    """Returns synthetic images instead of MedMNIST files."""

    def load(self, dataset, size=28):
        return medzoo.synthetic(dataset, n_train=16, n_val=12, n_test=12)


def test_a_recipe_is_trained_once_and_evaluated_on_both_splits(monkeypatch, tmp_path):
    train, trained = medzoo.train, []

    def short(model, data, recipe, **options):
        trained.append(recipe)
        return train(model, data, recipe, progress=False, **options)

    quick = {"epochs": 1, "validate_every": 1, "batch_size": 8}
    changed = {"corruptions_like": "breastmnist"}
    monkeypatch.setattr(
        recipe.RobustTrial,
        "recipe",
        property(
            lambda self: medzoo.recipe_for("simple_cnn", "breastmnist").with_changes(
                seed=self.seed,
                **quick,
                augmentation=changed | {"corruption": 0.5, "corruptions": ["blur"]},
            )
        ),
    )
    monkeypatch.setattr(medzoo, "train", short)
    monkeypatch.setattr(recipe, "OUTPUT", tmp_path)
    monkeypatch.setattr(recipe, "RECORDS", ResultsFile(tmp_path / "records.json"))
    for split in ("val", "test"):
        trial = recipe.RobustTrial("breastmnist", "robust", 0, split)
        record = json.loads(json.dumps(recipe.run(trial, Synthetic())))
        assert recipe.is_current(record, trial, Synthetic())
        assert record["report"]["split"] == split
        recipe.RECORDS.save(trial.key, record)
    assert len(trained) == 1
    header, _, *rows = recipe.table().splitlines()
    assert [row.split(" | ")[1] for row in rows] == ["val", "test"]
    assert {row.count("|") for row in rows} == {header.count("|")}


def test_arms_differ_in_their_corruptions_alone():
    trials = [recipe.RobustTrial("retinamnist", arm, 1, "val") for arm in recipe.ARMS]
    plain, robust, everything = (trial.recipe for trial in trials)
    off = {"corruption": 0.0, "corruptions": []}
    assert robust.with_changes(augmentation=off) == plain
    assert everything.with_changes(augmentation=off) == plain
    assert {*robust.augmentation.corruptions} == {"noise", "blur"}
    assert len({trial.key for trial in recipe.trials()}) == len(recipe.trials())


def test_every_published_classifier_is_evaluated():
    names = {trial.key for trial in published.trials()}
    assert {"simple_cnn.breastmnist", "advanced_cnn.breastmnist_128"} <= names
    assert set(medzoo.list_models(pretrained=True)) - names == {"advanced_cnn.medmnist"}
    assert names == set(published.RECORDS.read())


@pytest.mark.parametrize("module", [agreement, published])
def test_tables_are_made_of_the_results(module):
    header, _, *rows = module.table().splitlines()
    assert rows
    assert {row.count("|") for row in rows} == {header.count("|")}


def test_the_comparison_has_every_corruption_and_found_no_difference():
    rows = agreement.RECORD.read()["rows"]
    assert {row["corruption"] for row in rows} == {
        name for dataset in medzoo.list_datasets() for name in corruptions_for(dataset)
    }
    for row in rows:
        assert row["strength"] == pytest.approx(1, abs=0.25), row
        if row["corruption"] not in agreement.RANDOM:
            assert row["difference"] < 1, row
            assert row["correlation"] > 0.999, row
