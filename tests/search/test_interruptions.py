"""Interruptions: nothing is lost, and nothing counts twice."""

import optuna
import pytest

from medzoo.search.trial import objective
from tests.search import formula as formulas
from tests.search.formula import RATES, numbers, params


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupted_trial_is_repeated(run, monkeypatch, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db"}

    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(trials=3, **kept)
    result = run(trials=3, **kept)
    assert numbers(result) == [1, 2, 3]
    assert result.trials[0].is_baseline
    assert all(trial.state == "complete" for trial in result.trials)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_interruptions_within_trials_change_nothing(run, monkeypatch, tmp_path, sampler):
    options = {"space": {**RATES, "warmup": [0.0, 0.1, 0.2]}, "sampler": sampler}
    whole = run(trials=16, **options)
    calls = []

    def interrupted(*arguments, **more):
        calls.append(1)
        if len(calls) in (1, 5, 6, 14):
            raise KeyboardInterrupt
        return formulas.train(*arguments, **more)

    monkeypatch.setattr(objective, "train", interrupted)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            run(trials=16, storage=tmp_path / "study.db", **options)
    result = run(trials=16, storage=tmp_path / "study.db", **options)
    assert numbers(result)[-1] == 19
    assert params(result) == params(whole)


def test_interruptions_do_not_count_as_deaths_of_the_process(run, monkeypatch, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db"}

    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", interrupt)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                run(trials=2, **kept)
    result = run(trials=2, **kept)
    assert [one.state for one in result.trials] == ["complete", "complete"]
    assert result.trials[0].is_baseline


def test_an_interruption_between_trials_repeats_none(run, monkeypatch, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db"}

    def fail(*_, **__):
        raise RuntimeError("no luck")

    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", fail)
        run(trials=1, **kept)
        ask = optuna.Study.ask

        def ask_once(study, **options):
            if len(study.get_trials()) == 2:
                raise KeyboardInterrupt
            return ask(study, **options)

        patch.setattr(optuna.Study, "ask", ask_once)
        with pytest.raises(KeyboardInterrupt):
            run(trials=5, **kept)
    result = run(trials=3, **kept)
    assert [trial.state for trial in result.trials] == ["failed", "failed", "complete"]


def test_an_interruption_while_the_end_of_a_trial_is_noted_repeats_it(run, monkeypatch, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db"}

    def interrupt(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("optuna.study._optimize._tell_with_warning", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(trials=1, **kept)
    result = run(trials=1, **kept)
    assert [(one.number, one.state) for one in result.trials] == [(1, "complete")]
