"""Records of trainings: one recipe per file, and statistics over its seeds."""

import pytest

import medzoo
from benchmarks.reproduction.record import Record, seed_stats


def test_a_record_keeps_the_seeds_of_one_recipe(tmp_path):
    record = Record("dermamnist", "simple_cnn", folder=tmp_path)
    assert record.runs() == []
    for seed, acc in ((1, 0.8), (0, 0.6), (1, 0.7)):
        recipe = medzoo.Recipe(epochs=3, model_args={"widths": (1, 2)}, seed=seed).to_dict()
        record.save({"seed": seed, "recipe": recipe, "report": {"acc": acc, "auc": 0.9}})
    assert [run["seed"] for run in record.runs()] == [0, 1]
    stats = seed_stats(record.runs())
    assert stats["seeds"] == [0, 1]
    assert stats["acc"]["mean"] == pytest.approx(0.65)
    assert stats["acc"]["sd"] == pytest.approx(0.0707, abs=1e-4)
    assert seed_stats(record.runs()[:1])["acc"]["sd"] is None

    # A field that the recipe did not have when it was written down has its default.
    assert record.find(recipe)["report"]["acc"] == 0.7
    assert record.find({k: v for k, v in recipe.items() if k != "freeze"})["report"]["acc"] == 0.7
    assert record.find(recipe | {"epochs": 4}) is None
    # Runs of another recipe must not be averaged with these.
    other = recipe | {"epochs": 4, "seed": 2}
    record.save({"seed": 2, "recipe": other, "report": {"acc": 0, "auc": 0}})
    assert [run["seed"] for run in record.runs()] == [2]


def test_a_record_keeps_the_runs_of_one_ensemble_of_teachers(tmp_path):
    record = Record("dermamnist", "simple_cnn", folder=tmp_path)
    recipes = [medzoo.Recipe(distillation=0.5, seed=seed).to_dict() for seed in range(3)]
    for seed, teachers in enumerate((["a"], ["a"], ["a", "b"])):
        run = {"seed": seed, "recipe": recipes[seed], "teachers": teachers}
        record.save(run)
        assert record.find(recipes[seed], teachers) == run
        assert record.find(recipes[seed]) is None
        assert record.find(recipes[seed], ["b"]) is None
    assert [run["seed"] for run in record.runs()] == [2]


def test_a_disjoint_training_is_recorded_beside_the_ordinary_one(tmp_path):
    ordinary = Record("dermamnist", "simple_cnn", folder=tmp_path)
    disjoint = Record("dermamnist", "simple_cnn", "disjoint", folder=tmp_path)
    assert ordinary.path != disjoint.path
