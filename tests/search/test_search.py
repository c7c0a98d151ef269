"""A search: what it starts from, what it keeps, how it ends, and what it never reads."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import optuna
import pytest

import medzoo
from medzoo.errors import TrainingError
from medzoo.search import budget
from medzoo.search.trial import objective, pruning
from medzoo.training import load_recipe
from tests.search import formula as formulas
from tests.search.formula import RATES, TINY, numbers, params


def test_the_best_recipe_trains_and_is_read_back(data, tmp_path):
    result = medzoo.search(data, "simple_cnn", recipe=TINY, trials=3, storage=None, progress=False)
    assert result.trials[0].recipe == load_recipe(TINY, "simple_cnn", data)
    assert result.trials[0].is_baseline
    assert result.trials[0].state == "complete"
    path = result.save(tmp_path / "best.json")
    assert load_recipe(path, result.model, data) == result.recipe
    again = medzoo.train(result.model, data, path, progress=False)
    assert again.val_auc == result.best.values["val_auc"]
    assert json.loads(json.dumps(result.to_dict()))["trials"][0]["seconds"] > 0


def test_the_test_split_is_never_read(data, monkeypatch):
    seen = []
    train = medzoo.train

    def watched(model, part, recipe, **options):
        seen.append(part)
        return train(model, part, recipe, **options)

    class Unreadable:
        def __getattribute__(self, name):
            raise AssertionError(f"the test split was read: {name}")

    monkeypatch.setattr(objective, "train", watched)
    poisoned = medzoo.Dataset(data.info, data.train, data.val, Unreadable(), data.provenance)
    for folds in (1, 2):
        medzoo.search(
            poisoned, "simple_cnn", recipe=TINY, trials=1, folds=folds, storage=None, progress=False
        )
    assert len(seen) == 3
    assert all(list(part.splits) == ["train", "val"] for part in seen)


def test_trials_that_are_behind_end_early_and_the_first_recipe_does_not(data):
    scores = iter([0.6, 0.7, 0.9, 0.2, 0.95, 0.96, 0.9])  # at two rungs, then at the last epoch

    def validate(*_, **__):
        return {"val_loss": 0.0, "val_acc": 0.0, "val_auc": next(scores)}

    recipe = {**TINY, "epochs": 3, "validate_every": 3}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruning, "validate", validate)
        patch.setattr("medzoo.training.trainer.validate", validate)
        space = {"learning_rate": [1e-3, 1e-2]}
        result = medzoo.search(
            data, "simple_cnn", space, recipe=recipe, trials=3, storage=None, progress=False
        )
    assert [trial.state for trial in result.trials] == ["complete", "pruned", "complete"]
    assert result.trials[1].reason == "val_auc 0.2000 after 1 of 3 epochs: behind"
    assert result.trials[1].recipe is not None


def test_costs_are_weighed_against_scores(data, monkeypatch):
    cost = SimpleNamespace(parameters=7, mflop=1.5)
    monkeypatch.setattr("medzoo.search.goals.model_cost", lambda model: cost)
    goals = ("val_acc", "mflop", "latency")
    result = medzoo.search(
        data, "simple_cnn", recipe=TINY, trials=2, objectives=goals, storage=None, progress=False
    )
    for trial in result.trials:
        assert (trial.values["mflop"], set(trial.values)) == (1.5, set(goals))
        assert 0 < trial.values["latency"] < 10_000
    best = {trial.number for trial in result.study.best_trials}
    assert {trial.number for trial in result.front} == best
    assert result.front[0] == result.best


def test_the_search_comes_closer_than_chance(run):
    result = run(trials=30, space=RATES)
    chance = run(trials=30, space=RATES, sampler="random")
    assert result.best.values["val_auc"] >= chance.best.values["val_auc"]
    assert abs(result.recipe.learning_rate / formulas.BEST_RATE - 1) < 0.2


def test_trials_that_were_chosen_in_another_way_are_not_continued(run, tmp_path, monkeypatch):
    kept = {"space": RATES, "storage": tmp_path / "study.db", "trials": 3}
    first = run(**kept)
    assert run(**kept).study.study_name == first.study.study_name
    monkeypatch.setattr("medzoo.search.setting._WAY", 0)
    later = run(**kept)
    assert later.study.study_name != first.study.study_name
    assert [trial.number for trial in later.trials] == [0, 1, 2]


def test_another_task_with_the_same_images_is_another_search(run, data, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db", "trials": 1}
    info = replace(data.info, task="ordinal-regression")
    splits = (replace(split, info=info) for split in data.splits.values())
    ordinal = medzoo.Dataset(info, *splits, data.provenance)
    assert run(**kept).study.study_name != run(data=ordinal, **kept).study.study_name


def test_the_same_call_goes_on_where_it_ended(run, tmp_path):
    whole, kept = run(trials=12, space=RATES), {"space": RATES, "storage": tmp_path / "study.db"}
    assert numbers(run(trials=4, **kept)) == [0, 1, 2, 3]
    assert numbers(run(trials=4, **kept)) == [0, 1, 2, 3]
    resumed = run(trials=12, **kept)
    assert params(resumed) == params(whole)
    assert [trial.values for trial in resumed.trials] == [trial.values for trial in whole.trials]
    assert params(run(trials=12, space=RATES, seed=1)) != params(whole)


def test_other_arguments_begin_another_search_in_the_same_file(run, data):
    first = run(trials=1)
    others = [
        run(trials=1, space=RATES),
        run(trials=1, objectives="val_loss"),
        run(trials=1, recipe={"epochs": 3}),
        run(trials=1, data=medzoo.datasets.resplit(data, {"train": range(20), "val": range(20, 30),
                                                          "test": range(30, 40)})),
    ]  # fmt: skip
    names = {result.study.study_name for result in [first, *others]}
    assert len(names) == 5
    assert run(trials=1).study.study_name in names


def test_a_trial_that_raises_is_recorded_and_the_search_goes_on(run, monkeypatch):
    errors = iter([None, RuntimeError("broken\nscreen \x1b[2J"), MemoryError("no"), None])

    def sometimes(*arguments, **options):
        if error := next(errors):
            raise error
        return formulas.train(*arguments, **options)

    monkeypatch.setattr(objective, "train", sometimes)
    result = run(trials=4)
    assert [trial.state for trial in result.trials] == ["complete", "failed", "failed", "complete"]
    assert result.trials[1].reason == "RuntimeError: broken screen \x1b[2J"
    assert result.trials[2].reason == "out of memory: no"


def test_a_search_in_which_everything_fails_ends(run, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no luck \x1b[2J")

    monkeypatch.setattr(objective, "train", fail)
    with pytest.raises(TrainingError, match=r"10 trials failed .* no luck \\x1b\[2J"):
        run(trials=100)


def test_a_function_is_a_space_too(run):
    def space(trial, recipe):
        rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
        return {"learning_rate": rate, "augmentation": {"rotation": 90}}

    result = run(trials=3, space=space)
    assert result.trials[0].params == {}
    for trial in result.trials[1:]:
        assert trial.recipe.learning_rate == trial.params["rate"]
        assert trial.recipe.augmentation.rotation == 90


def test_functions_of_one_name_begin_searches_of_their_own(run, tmp_path):
    names = set()
    for source in ("{'warmup': 0.1}", "{'warmup': 0.2}"):
        space = eval(f"lambda trial, recipe: {source}")
        result = run(trials=2, space=space, storage=tmp_path / "study.db")
        assert result.trials[1].recipe.warmup == space(None, None)["warmup"]
        names.add(result.study.study_name)
    assert len(names) == 2


def test_architectures_are_searched_within_the_budget(run, monkeypatch):
    asked = []

    def suggest_architecture(trial, model, info, size, *, max_params, max_mflop, **_):
        asked.append((model, size, max_params, max_mflop))
        width = trial.suggest_int("simple_cnn.width", 1, 9)
        if trial.number == 2:
            raise optuna.TrialPruned("over the budget")
        return {"widths": [width]}

    stand_in = SimpleNamespace(
        check_fixed_args=lambda *_, **__: None,
        suggest_architecture=suggest_architecture,
        default_architecture_params=lambda *_, **__: {"simple_cnn.width": 7},
    )
    monkeypatch.setattr(budget, "suggest_architecture", suggest_architecture)
    monkeypatch.setitem(sys.modules, "medzoo.search.architectures", stand_in)
    result = run(trials=4, max_params=5e5)
    assert asked == [("simple_cnn", 28, 5e5, None)] * 5  # first for the budget alone
    assert [trial.state for trial in result.trials] == ["complete"] * 2 + ["pruned", "complete"]
    assert result.trials[0].recipe.model_args["widths"] == [7]
    assert result.trials[2].reason == "over the budget"


def test_lines_show_the_best_trial_and_the_time_left(run, capsys):
    run(trials=2, progress=None)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("trial 0: simple_cnn val_auc 0.")
    assert "best val_auc 0." in second
    assert second.endswith(" left")
