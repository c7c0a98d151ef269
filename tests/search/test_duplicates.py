"""What another trial has trained is not trained again."""

import re

import torch

from medzoo.search import study as loop
from medzoo.search.trial import objective
from tests.search import formula as formulas


def test_what_another_trial_has_trained_is_not_trained_again(run, monkeypatch):
    trained = []

    def watched(model, data, recipe, **options):
        trained.append(recipe)
        return formulas.train(model, data, recipe, **options)

    monkeypatch.setattr(objective, "train", watched)
    result = run(trials=8, space={"learning_rate": [0.01, 0.1]})
    assert len({str(recipe) for recipe in trained}) == len(trained) < len(result.trials)
    values = {str(trial.recipe): trial.values for trial in result.trials if not trial.reason}
    repeated = [trial for trial in result.trials if trial.reason]
    assert len(values) + len(repeated) == 8
    for trial in repeated:
        assert trial.state == "complete"
        assert trial.values == values[str(trial.recipe)]
        assert re.fullmatch(r"same network and recipe as trial \d", trial.reason)
    assert [trial.number for trial in result.ranked if trial.reason] == []


def test_a_small_space_ends_a_search_that_has_a_time_limit_alone(run, monkeypatch):
    space = {"learning_rate": [0.01, 0.1]}
    result = run(trials=None, time_limit=60.0, space=space)
    repeated = [trial for trial in result.trials if trial.reason]
    assert loop.DUPLICATES <= len(repeated) < 4 * loop.DUPLICATES  # not until the time is over
    assert len(result.trials) - len(repeated) <= 3


def test_several_objectives_and_folds_are_taken_over_as_well(run):
    space = {"learning_rate": [0.01, 0.1]}
    result = run(trials=8, space=space, objectives=["val_auc", "val_loss"], folds=2)
    trained = {str(trial.recipe): trial.values for trial in result.trials if not trial.reason}
    repeated = [trial for trial in result.trials if trial.reason]
    assert repeated
    assert all(trial.values == trained[str(trial.recipe)] for trial in repeated)
    assert len(result.front) <= len(trained)


def test_what_a_function_chooses_need_not_be_json(run):
    def space(trial, recipe):
        return {"model_args": {"act_layer": torch.nn.SiLU}}

    result = run(trials=3, space=space)
    assert [trial.state for trial in result.trials] == ["complete"] * 3
