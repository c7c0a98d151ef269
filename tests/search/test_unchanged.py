"""Several models: which unchanged recipes are trained to their end, and which are varied."""

from types import SimpleNamespace

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

import medzoo
from medzoo.search.trial import objective
from medzoo.search.trial.neighbours import NEIGHBOURS
from medzoo.search.trial.unchanged import better_models

RATES = {"learning_rate": FloatDistribution(1e-4, 1.0, log=True)}


@pytest.fixture
def search(data, monkeypatch):
    """Search among models whose score follows a curve, whatever the recipe."""

    def run(curves, trials=0, fails="", **options):
        def train(model, data, recipe, *, callbacks, **_):
            steps = SimpleNamespace(epochs=len(curves[model]))
            for epoch, score in enumerate(curves[model], start=1):
                if model == fails and epoch == len(curves[model]):
                    raise MemoryError("not enough memory")
                row = {"seconds": 0.0, "val_auc": score, "val_loss": 1 - score}
                state = SimpleNamespace(epoch=epoch, recipe=steps, row=row, stop_reason=None)
                callbacks[-1].on_epoch_end(state)
            nll = SimpleNamespace(nll=1 - score)
            return SimpleNamespace(model=model, val_auc=score, val_acc=score, calibration=nll)

        monkeypatch.setattr(objective, "train", train)
        trials = trials or len(curves) + NEIGHBOURS
        options = {"storage": None, "progress": False} | options
        result = medzoo.search(data, list(curves), RATES, trials=trials, **options)
        return result.trials[: len(curves)], result.trials[len(curves) :], result

    return run


def models(trials):
    return {trial.model for trial in trials}


def states(trials):
    return [trial.state for trial in trials]


@pytest.mark.parametrize("goal", ["val_auc", "val_loss"])
def test_what_is_behind_the_first_model_halfway_ends_there(search, goal):
    curves = {"simple_cnn": [0.8] * 4, "advanced_cnn": [0.5] * 4}
    unchanged, others, _ = search(curves, objectives=goal)
    assert states(unchanged) == ["complete", "pruned"]
    assert unchanged[1].reason == f"{goal} 0.5000 after 2 of 4 epochs: behind"
    assert models(others) == {"simple_cnn"}


@pytest.mark.parametrize("goal", ["val_auc", "val_loss"])
def test_a_model_that_learns_slowly_at_first_has_its_chance(search, goal):
    slow = [0.5, 0.9, 0.9, 0.9]
    curves = {"simple_cnn": [0.8] * 4, "advanced_cnn": slow}
    unchanged, others, _ = search(curves, objectives=goal)
    assert states(unchanged) == ["complete", "complete"]
    assert models(others) == {"advanced_cnn"}


def test_the_first_model_is_trained_to_its_end_although_it_is_worse(search):
    unchanged, others, result = search({"simple_cnn": [0.5] * 4, "advanced_cnn": [0.8] * 4})
    assert states(unchanged) == ["complete", "complete"]
    assert models(others) == {result.model} == {"advanced_cnn"}


def test_what_is_better_than_the_first_need_not_be_the_best(search):
    curves = {"simple_cnn": [0.85] * 4, "efficientnet": [0.91] * 4, "advanced_cnn": [0.90] * 4}
    unchanged, others, _ = search(curves)
    assert states(unchanged) == ["complete"] * 3
    assert models(others) == {"efficientnet", "advanced_cnn"}


def test_a_first_model_that_fails_is_no_measure(search):
    curves = {"simple_cnn": [0.9] * 4, "advanced_cnn": [0.8] * 4}
    unchanged, others, result = search(curves, fails="simple_cnn")
    assert states(unchanged) == ["failed", "complete"]
    assert models(others) == {result.model} == {"advanced_cnn"}


def test_nothing_is_behind_without_a_pruner_but_the_better_models_are_varied(search):
    curves = {"simple_cnn": [0.8] * 4, "advanced_cnn": [0.5] * 4}
    unchanged, others, _ = search(curves, pruner="none")
    assert states(unchanged) == ["complete", "complete"]
    assert models(others) == {"simple_cnn"}


def test_while_another_process_trains_a_model_none_is_left_out(search):
    _, _, result = search({"simple_cnn": [0.8] * 4, "advanced_cnn": [0.9] * 4}, trials=2)
    trials = result.study.get_trials()
    setting = SimpleNamespace(recipes=["simple_cnn", "advanced_cnn"], goals=["val_auc"])
    assert better_models(setting, trials) == ["advanced_cnn"]
    trials[1].state, trials[1].values = TrialState.RUNNING, None
    assert better_models(setting, trials) == ["simple_cnn", "advanced_cnn"]


def test_with_several_objectives_all_models_are_varied(search, monkeypatch):
    monkeypatch.setattr(objective, "cost_of", lambda model, cost: len(model))
    curves = {"simple_cnn": [0.8] * 4, "advanced_cnn": [0.5] * 4}
    _, others, _ = search(curves, objectives=["val_auc", "parameters"])
    assert models(others) == set(curves)
