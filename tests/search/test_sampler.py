"""Samplers of one's own, such as a grid, and functions that end a search."""

import optuna
import pytest

from medzoo.search.trial import objective
from tests.search import formula as formulas
from tests.search.formula import RATES, numbers


def grid():
    return optuna.samplers.GridSampler({"learning_rate": [1e-3, 1e-2, 1e-1, 1.0]}, seed=0)


def rates(result):
    return sorted(trial.params["learning_rate"] for trial in result.trials if not trial.is_baseline)


def test_a_sampler_of_ones_own_sees_every_trial_and_may_end_the_search(run, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db"}
    for trials in (3, 20, 20):  # the last call finds the grid exhausted
        result = run(trials=trials, sampler=grid(), **kept)
    assert [trial.state for trial in result.trials] == ["complete"] * 5
    assert rates(result) == [1e-3, 1e-2, 1e-1, 1.0]


@pytest.mark.parametrize("points", [[0.03], [0.02, 0.03]])
def test_a_grid_of_one_point_or_two_is_searched(run, points):
    sampler = optuna.samplers.GridSampler({"learning_rate": points})
    result = run(trials=20, sampler=sampler, space={"learning_rate": [0.01, 0.02, 0.03]})
    assert [trial.state for trial in result.trials] == ["complete"] * (1 + len(points))
    assert rates(result) == points


@pytest.mark.parametrize("interruptions", [(1,), (2,), (3, 4), (5,)])
def test_an_interrupted_grid_is_finished(run, monkeypatch, tmp_path, interruptions):
    kept, calls = {"space": RATES, "storage": tmp_path / "study.db"}, []

    def interrupted(*arguments, **more):
        calls.append(1)
        if len(calls) in interruptions:
            raise KeyboardInterrupt
        return formulas.train(*arguments, **more)

    monkeypatch.setattr(objective, "train", interrupted)
    for _ in interruptions:
        with pytest.raises(KeyboardInterrupt):
            run(trials=20, sampler=grid(), **kept)
    result = run(trials=20, sampler=grid(), **kept)
    assert [trial.state for trial in result.trials] == ["complete"] * 5
    assert rates(result) == [1e-3, 1e-2, 1e-1, 1.0]


def test_a_function_may_end_the_search(run):
    def space(trial, recipe):
        trial.study.stop()
        return {"warmup": trial.suggest_float("warmup", 0, 0.1)}

    assert numbers(run(trials=5, space=space)) == [0, 1]
