"""The first trials after the unchanged recipes stay close to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution, IntDistribution

import medzoo
from medzoo.search import default_space
from medzoo.search.space import parameters_of
from medzoo.search.trial import objective
from medzoo.search.trial.neighbours import NEIGHBOURS, neighbour
from medzoo.training import Recipe, load_recipe

RECIPE = load_recipe("default", "simple_cnn", "dermamnist")
SPACE = default_space(RECIPE, medzoo.dataset_info("dermamnist"), 7007)


@given(seed=st.integers(0, 2**32))
def test_a_few_parameters_change_and_none_leaves_its_range(seed):
    known = parameters_of(RECIPE, SPACE)
    found = neighbour(RECIPE, SPACE, np.random.default_rng(seed))
    assert set(found) <= set(known)
    changed = [name for name, value in found.items() if value != known[name][1]]
    assert changed
    for name, value in found.items():
        domain = known[name][0]
        if hasattr(domain, "low"):
            assert domain.low <= value <= domain.high
            assert not isinstance(domain, IntDistribution) or type(value) is int
        else:
            assert value in list(domain)


def test_they_are_closer_than_chance():
    domain = FloatDistribution(1e-4, 1.0, log=True)
    recipe = Recipe(learning_rate=0.01)  # in the middle
    rng = np.random.default_rng(0)
    space = {"learning_rate": domain}
    logs = [np.log10(neighbour(recipe, space, rng)["learning_rate"]) for _ in range(200)]
    assert np.abs(np.mean(logs) + 2) < 0.2
    assert np.std(logs) < 4 / np.sqrt(12) * 0.9  # of all values alike


def test_ends_are_no_more_probable_than_what_lies_between():
    domain = FloatDistribution(0.0, 0.2)
    rng = np.random.default_rng(0)
    recipe, space = Recipe(label_smoothing=0.0), {"label_smoothing": domain}
    assert len({neighbour(recipe, space, rng)["label_smoothing"] for _ in range(50)}) == 50


def test_what_the_recipe_says_nothing_about_is_left_to_the_sampler():
    rates = FloatDistribution(0.001, 0.1, log=True)
    space = {"optimizer": {"muon": {"learning_rate": rates}, "adamw": {"weight_decay": [0.1]}}}
    recipe = Recipe(optimizer="muon", learning_rate=0.02)
    found = [neighbour(recipe, space, np.random.default_rng(seed)) for seed in range(50)]
    assert {frozenset(one) for one in found} == {
        frozenset({"optimizer", "learning_rate[muon]"}),
        frozenset({"optimizer"}),  # another one, about whose rate the recipe says nothing
    }


def share_kept(result):
    """Return for each trial but the first which share of its parameters it kept."""
    first, *others = (trial.params for trial in result.trials)
    return [sum(one.get(name) == first[name] for name in first) / len(first) for one in others]


def test_only_the_first_trials_stay_close(run):
    kept = share_kept(run(trials=NEIGHBOURS + 9))
    assert min(kept[:NEIGHBOURS]) > 0.4
    assert max(kept[NEIGHBOURS:]) < 0.4
    assert max(share_kept(run(trials=5, sampler="random"))) < 0.4


def test_a_search_that_goes_on_tries_the_same(run, tmp_path):
    whole = run(trials=6)
    run(trials=3, storage=tmp_path / "study.db")
    resumed = run(trials=6, storage=tmp_path / "study.db")
    assert [trial.params for trial in resumed.trials] == [trial.params for trial in whole.trials]


def test_networks_stay_close_too(run):
    first, *others = (trial.params for trial in run(trials=1 + NEIGHBOURS, max_params=1e6).trials)
    shape = [name for name in first if name.startswith("simple_cnn.")]
    kept = [sum(one.get(name) == first[name] for name in shape) / len(shape) for one in others]
    assert 0.5 < sum(kept) / len(kept) < 1


@pytest.mark.parametrize(
    "space",
    [
        {"learning_rate": [1e-5, 1e-4]},  # the recipe's rate is not among them
        lambda trial, recipe: {"learning_rate": trial.suggest_float("rate", 1e-5, 1.0)},
    ],
)
def test_a_space_without_the_recipe_is_searched_at_once(run, space):
    rates = {trial.recipe.learning_rate for trial in run(trials=8, space=space).trials[1:]}
    assert len(rates) > 1


@pytest.mark.parametrize(
    "space",
    [
        {"epochs": IntDistribution(29, 31)},
        {"optimizer": ["muon"], "batch_size": [128], "weight_decay": FloatDistribution(0.01, 0.1)},
        {"label_smoothing": FloatDistribution(0.05, 0.05), "weight_decay": [0.05, 0.1]},
    ],
)
def test_something_always_changes(space):
    recipe = Recipe(
        epochs=30, optimizer="muon", batch_size=128, weight_decay=0.05, label_smoothing=0.05
    )
    known = parameters_of(recipe, space)
    for seed in range(100):
        found = neighbour(recipe, space, np.random.default_rng(seed))
        assert any(value != known[name][1] for name, value in found.items())


def test_nothing_is_close_where_nothing_can_change():
    fixed = {"optimizer": ["muon"], "epochs": IntDistribution(30, 30)}
    assert neighbour(Recipe(epochs=30, optimizer="muon"), fixed, np.random.default_rng(0)) == {}


def test_steps_of_a_range_are_kept():
    space = {"batch_size": IntDistribution(8, 72, step=16), "epochs": IntDistribution(1, 9)}
    sizes = {
        neighbour(Recipe(batch_size=30, epochs=5), space, np.random.default_rng(seed))["batch_size"]
        for seed in range(50)
    }
    assert {24} < sizes <= {8, 24, 40, 56, 72}


def test_the_whole_space_is_searched_if_the_recipe_itself_fails(run, monkeypatch):
    given = objective.train

    def train(model, data, recipe, **options):
        if recipe.batch_size > 4:
            raise MemoryError("not enough memory")
        return given(model, data, recipe, **options)

    monkeypatch.setattr(objective, "train", train)
    space = {"batch_size": IntDistribution(1, 12), "learning_rate": FloatDistribution(0.01, 0.1)}
    result = run(trials=12, space=space)
    assert result.best.values["val_auc"] > 0
    assert max(share_kept(result)) < 1
