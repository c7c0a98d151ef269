"""A time limit: what is not begun, what ends early, and what a later call makes up for."""

from types import SimpleNamespace

import optuna
import pytest

import medzoo
from medzoo.errors import TrainingError
from medzoo.search import study as loop
from medzoo.search.trial import objective, pruning
from tests.search import formula as formulas
from tests.search.formula import RATES, TINY, params


def test_the_last_epoch_alone_stays_the_one_that_is_validated(run):
    space = {"epochs": [1, 2, 5, 7]}
    result = run(trials=6, space=space, recipe={"epochs": 4, "validate_every": 4})
    assert all(trial.recipe.validate_every == trial.recipe.epochs for trial in result.trials)


def test_time_of_all_calls_counts_together(run, monkeypatch, tmp_path):
    limits = {"trials": None, "time_limit": 35, "storage": tmp_path / "study.db", "space": RATES}
    clock = SimpleNamespace(now=1000.0)

    def slow(*arguments, **options):
        clock.now += 10
        return formulas.train(*arguments, **options)

    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    monkeypatch.setattr(objective, "train", slow)
    result = run(**limits)
    assert len(result.trials) == 4  # the last one began in time
    spans = [(one.user_attrs["began"], one.user_attrs["seconds"]) for one in
             result.study.get_trials()]  # fmt: skip
    first = min(start for start, _ in spans)
    # All of them began within the same second, and overlap.
    assert loop.seconds_spent(result.study) == pytest.approx(
        max(start + seconds for start, seconds in spans) - first
    )
    assert len(run(**limits).trials) > 4


def test_an_epoch_that_would_be_late_is_not_begun(data):
    result = medzoo.search(
        data, "simple_cnn", recipe={**TINY, "epochs": 10**6, "validate_every": 10**6},
        time_limit=0.5, storage=None, progress=False,
    )  # fmt: skip
    assert [trial.state for trial in result.trials] == ["pruned"]
    assert result.trials[0].reason.startswith("out of time after ")
    with pytest.raises(TrainingError, match=r"none of 1 trials .*out of time"):
        result.best  # noqa: B018


def out_of_time(*_, **__):
    raise pruning.OutOfTimeError("out of time after 1 of 9 epochs")


def test_a_trial_without_enough_time_is_trained_by_a_call_that_has_more(run, monkeypatch, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db"}
    whole = run(trials=4, space=RATES)
    for _ in range(4):  # more often than a trial whose process dies is repeated
        with monkeypatch.context() as patch:
            patch.setattr(objective, "train", out_of_time)
            (late,) = run(trials=1, time_limit=1000, **kept).trials
            assert (late.state, late.is_baseline) == ("pruned", True)
    first = run(trials=1, **kept)
    assert [(one.state, one.is_baseline) for one in first.trials] == [("complete", True)]
    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", out_of_time)
        result = run(trials=4, **kept)
        assert [trial.state for trial in result.trials] == ["complete", "pruned"]
    result = run(trials=4, **kept)
    assert [trial.state for trial in result.trials] == ["complete"] * 4
    assert params(result) == params(whole)


def test_a_repeated_trial_does_not_look_like_the_one_before(run, monkeypatch, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db"}
    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", out_of_time)
        study = run(trials=1, **kept).study
    (_, again) = study.get_trials()
    assert again.state.name == "WAITING"
    assert not {"seconds", "reason", "began"} & set(again.user_attrs)


@pytest.mark.parametrize("pruner", ["successive_halving", "hyperband"])
def test_a_trial_is_not_compared_just_before_its_end(data, pruner):
    study = optuna.create_study(
        direction="maximize", pruner=pruning.create_pruner(pruner, several=False)
    )

    def epochs(trial, score, count):
        early = pruning.EndEarly(trial, data, "val_auc", float("inf"), None)
        recipe = SimpleNamespace(epochs=count)
        for epoch in range(1, count + 1):
            row = {"seconds": 0.0, "val_auc": score}
            state = SimpleNamespace(epoch=epoch, recipe=recipe, row=row, stop_reason=None)
            early.on_epoch_end(state)
        return score

    for count in (100, 300):
        study.optimize(lambda trial, count=count: epochs(trial, 0.5, count), n_trials=4)
    assert all(max(trial.intermediate_values) < 99 for trial in study.get_trials())
    if pruner == "successive_halving":
        study.optimize(lambda trial: epochs(trial, 0.1, 100), n_trials=1)
        assert max(study.get_trials()[-1].intermediate_values) == pruning.FIRST_RUNG


def test_a_training_that_ended_by_itself_is_neither_behind_nor_late(data):
    trial = SimpleNamespace(should_prune=lambda: True, report=lambda *_: None)
    recipe, row = SimpleNamespace(epochs=10), {"seconds": 9.0, "val_auc": 0.1}
    for deadline in (0.0, float("inf")):
        early = pruning.EndEarly(trial, data, "val_auc", deadline, None)
        state = SimpleNamespace(epoch=5, recipe=recipe, row=row, stop_reason="no better since 3")
        early.on_epoch_end(state)
        state.stop_reason = None
        with pytest.raises((pruning.OutOfTimeError, optuna.TrialPruned)):
            early.on_epoch_end(state)
