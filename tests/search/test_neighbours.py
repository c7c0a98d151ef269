"""The first trials after the unchanged recipes stay close to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution, IntDistribution

import medzoo
from medzoo.search import default_space
from medzoo.search.space import parameters_of
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
