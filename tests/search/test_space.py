"""Spaces: what suits the images, what depends on a choice, and what is refused."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from functools import partial

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import medzoo
from medzoo.search import default_space
from medzoo.search.space import (
    check_model_args,
    check_space,
    choose,
    describe_space,
    domains,
    parameters_of,
    suggest,
    suggest_changes,
)
from medzoo.training import Recipe, recipe_for

DERMA, OCT = medzoo.dataset_info("dermamnist"), medzoo.dataset_info("octmnist")
SIDES = replace(DERMA, classes=("left kidney", "right kidney", *DERMA.classes[2:]))


def space_of(info, recipe=None, images=1000):
    return default_space(recipe or Recipe(), info, images)


def test_images_decide_what_may_be_mirrored_and_turned():
    colour, gray, sided = (space_of(info)["augmentation"] for info in (DERMA, OCT, SIDES))
    assert {"horizontal_flip", "vertical_flip", "saturation"} <= colour.keys()
    assert "horizontal_flip" in gray
    assert not {"vertical_flip", "saturation"} & gray.keys()
    assert not {"horizontal_flip", "vertical_flip"} & sided.keys()
    assert [one["rotation"].high for one in (colour, gray, sided)] == [180, 30, 30]


@pytest.mark.parametrize("name", medzoo.list_datasets())
@pytest.mark.parametrize("model", ["efficientnet"])
def test_bundled_recipes_are_in_the_default_space_or_beside_it(name, model):
    recipe = recipe_for(model, name)
    space = space_of(medzoo.dataset_info(name), recipe)
    check_space(space, recipe)
    found = parameters_of(recipe, space)
    assert found["epochs"][1] == recipe.epochs
    assert found[f"learning_rate[{recipe.optimizer}]"][1] == recipe.learning_rate


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([DERMA, OCT, SIDES]), st.integers(8, 100_000), st.integers(0, 1 << 30))
def test_whatever_is_chosen_is_a_recipe(info, images, seed):
    space = space_of(info, images=images)
    sampler = optuna.samplers.RandomSampler(seed=seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trial = optuna.create_study(sampler=sampler).ask()
    recipe = Recipe().with_changes(**suggest_changes(trial, space, Recipe()))
    assert 8 <= recipe.batch_size <= max(8, images // 4)
    assert f"learning_rate[{recipe.optimizer}]" in trial.params
    mixed = recipe.augmentation.mix_probability > 0
    assert mixed == ("augmentation.mixup[0.5]" in trial.params)
    # The recipe says where in the space it is.
    read = {name: value for name, (_, value) in parameters_of(recipe, space).items()}
    assert read == trial.params


def test_what_depends_on_a_choice_is_chosen_with_it():
    space = {"optimizer": {"sgd": {"learning_rate": [1.0]}, "adamw": {"weight_decay": [0.5]}}}
    rng = random.Random(0)
    changes = [choose(space, lambda *about: rng.choice(list(about[2]))) for _ in range(20)]
    assert {tuple(one.items()) for one in changes} == {
        (("optimizer", "sgd"), ("learning_rate", 1.0)),
        (("optimizer", "adamw"), ("weight_decay", 0.5)),
    }
    assert [name for name, *_ in domains(space)] == [
        "optimizer", "learning_rate[sgd]", "weight_decay[adamw]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("domain", "kinds"),
    [
        (FloatDistribution(0.5, 2.0, log=True), float),
        (IntDistribution(2, 8, step=2), int),
        (CategoricalDistribution((1, 2)), int),
        (["a", "b"], str),
        (("a", None), str | None),
    ],
)
def test_each_kind_of_domain_is_asked_for(domain, kinds):
    trial = optuna.create_study().ask()
    assert isinstance(suggest(trial, "x", domain), kinds)
    stored = trial.distributions["x"]
    assert stored == (domain if hasattr(domain, "single") else CategoricalDistribution(domain))


@pytest.mark.parametrize(
    ("space", "kind", "message"),
    [
        (3, TypeError, "space=3 is a int"),
        ({}, ValueError, "nothing to search"),
        ({"augmentation": {}}, ValueError, "nothing to search"),
        ({"learning_rat": [1.0]}, ValueError, "did you mean 'learning_rate'"),
        ({"augmentation": {"rotate": [1.0]}}, ValueError, "did you mean 'rotation'"),
        ({"learning_rate": []}, ValueError, "learning_rate has no choices"),
        ({"learning_rate": 0.1}, TypeError, "learning_rate is 0.1; expected a list"),
        ({"learning_rate": "01"}, TypeError, "learning_rate is '01'; expected a list"),
        ({"learning_rate": FloatDistribution(-1, 1)}, ValueError, "learning_rate=-1.0 does not"),
        ({"epochs": IntDistribution(0, 3)}, ValueError, "epochs=0 does not fit"),
        ({"model_args": [{}]}, TypeError, r"model_args is \[\{\}\]; expected a mapping of fields"),
        ({"augmentation": None}, TypeError, "augmentation is None; expected a mapping of fields"),
        (
            {"optimizer": {"sgd": {}, "adamw": None}},
            TypeError,
            r"\[adamw\] is None; expected a map",
        ),
        ({"optimizer": {"sgd": {1: [2]}}}, TypeError, r"\[sgd\] is \{1: \[2\]\}; expected a map"),
        ({"optimizer": ["adamm"]}, ValueError, "adamm"),
        ({"optimizer": {"sgd": {"warmup": [2.0]}}}, ValueError, r"warmup=2.0 does not fit"),
        ({"augmentation": {"mixup": [0.0, 0.2]}}, ValueError, r"mixup=0.2 mixes nothing"),
        (
            {
                "optimizer": {
                    "sgd": {"augmentation": {"cutmix": [1.0]}},
                    "adamw": {"augmentation": {"cutmix": [0.0]}},
                }
            },
            ValueError,
            r"cutmix=1.0 mixes nothing",
        ),
        (
            {"augmentation": {"mixup": [0.2], "mix_probability": [0.0]}},
            ValueError,
            r"mixup=0.2 mixes nothing",
        ),
    ],
)
def test_impossible_spaces_are_refused_before_the_first_trial(space, kind, message):
    with pytest.raises(kind, match=message):
        check_space(space, Recipe())


def test_mixing_may_be_searched_with_its_probability():
    mixing = {"mixup": [0.0, 0.2], "mix_probability": FloatDistribution(0, 1)}
    check_space({"augmentation": mixing}, Recipe())
    likely = Recipe().with_changes(augmentation={"mix_probability": 0.5})
    check_space({"augmentation": {"mixup": [0.0, 0.2]}}, likely)


def test_a_function_has_to_return_changes():
    with pytest.raises(TypeError, match="returned None; expected changes"):
        suggest_changes(optuna.create_study().ask(), lambda trial, recipe: None, Recipe())


FUNCTION = """
def space(trial, recipe):
    nested = [name for name in ("a", ("b", {limit})) if name in {{"x", "y", "z", "a"}}]
    return {{"warmup": trial.suggest_float("warmup", 0, {limit})}}
"""


def function(limit):
    names = {}
    exec(FUNCTION.format(limit=limit), names)
    return names["space"]


def test_a_function_counts_by_its_code():
    assert describe_space(function(0.1)) == describe_space(function(0.1))
    assert describe_space(function(0.1)) != describe_space(function(0.2))
    inner = [lambda trial, recipe: [one + 1 for one in ()], lambda t, r: [one + 2 for one in ()]]
    assert describe_space(inner[0]) != describe_space(inner[1])


def test_a_function_with_arguments_counts_by_both():
    def wide(trial, recipe, limit, step=1):
        return {"learning_rate": trial.suggest_float("rate", limit, step)}

    def narrow(trial, recipe, limit):
        return {"weight_decay": trial.suggest_float("decay", limit, 1)}

    spaces = [partial(wide, limit=0.1), partial(wide, limit=0.2), partial(narrow, limit=0.1)]
    assert len({json.dumps(describe_space(space)) for space in spaces}) == 3
    assert describe_space(spaces[0]) == describe_space(partial(wide, limit=0.1))
    # Objects have another address in each process.
    assert describe_space(partial(wide, limit=object())) == describe_space(
        partial(wide, limit=object())
    )


@pytest.mark.slow
def test_a_function_counts_the_same_in_every_process():
    program = (
        f"import json; from medzoo.search.space import describe_space; exec({FUNCTION!r}.format("
        "limit=0.1)); print(json.dumps(describe_space(space)))"
    )
    here = json.dumps(describe_space(function(0.1)))
    environment = {**os.environ, "PYTHONHASHSEED": "3"}
    there = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert there.strip() == here


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("simple_cnn", "unknown argument of simple_cnn .* 'drop_rat'; did you mean 'drop_rate'"),
        ("timm/resnet18", "do not fit timm/resnet18: .*'drop_rat'"),
    ],
)
def test_an_argument_that_an_architecture_lacks_is_named_before_the_first_trial(model, said, data):
    space = {"model_args": {"drop_rat": [0.0, 0.2]}}
    with pytest.raises(ValueError, match=said):
        medzoo.search(data, model, space, trials=1, storage=None, progress=False)
    check_model_args({"model_args": {"drop_rate": [0.0, 0.2]}}, model, data)


NOISE = {"optimizer": {"muon": {"augmentation": {"noise": [0.05]}}, "adamw": {}}}
DROP = {"optimizer": {"muon": {"model_args": {"drop_rate": [0.3]}}, "adamw": {}}}


def with_muon(name, path, domain):
    return next(iter(domain))


@pytest.mark.parametrize(
    ("rest", "conditional", "expected"),
    [
        ({"augmentation": {"rotation": [9]}}, NOISE, {"rotation": 9, "noise": 0.05}),
        ({"model_args": {"depth": [2]}}, DROP, {"depth": 2, "drop_rate": 0.3}),
    ],
    ids=["augmentation", "model_args"],
)
def test_what_depends_on_a_choice_is_added_to_what_does_not(rest, conditional, expected):
    for space in (rest | conditional, conditional | rest):
        check_space(space, Recipe())
        changes = choose(space, with_muon)
        assert changes[next(iter(rest))] == expected


def test_names_tell_every_choice_that_a_parameter_depends_on():
    space = {
        "optimizer": {
            "muon": {"warmup": {0.0: {"learning_rate": [0.01]}, 0.1: {}}},
            "adamw": {"warmup": {0.0: {"learning_rate": [0.001]}}},
        }
    }
    check_space(space, Recipe())
    names = [name for name, *_ in domains(space)]
    assert "learning_rate[muon][0.0]" in names
    assert len(set(names)) == len(names) == 5
    picked = []
    choose(space, lambda name, _, domain: picked.append(name) or next(iter(domain)))
    assert picked == ["optimizer", "warmup[muon]", "learning_rate[muon][0.0]"]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"optimizer": {"sgd": {"warmup": [0.1]}, "adamw": {}}, "warmup": [0.2]},
            "warmup is given twice for the same trial",
        ),
        (
            {"augmentation": {"noise": [0.1]}} | NOISE,
            r"augmentation\.noise is given twice for the same trial",
        ),
        (
            {
                "optimizer": {"sgd": {"warmup": [0.1]}, "adamw": {}},
                "class_weights": {"balanced": {"warmup": [0.2]}, "none": {}},
            },
            "warmup is given twice for the same trial",
        ),
        ({"optimizer": {"sgd": {"optimizer": ["adamw"]}}}, "optimizer is given twice"),
        (
            {"freeze": {1: {"warmup": [0.1]}, "1": {"warmup": [0.2]}}},
            r"two parameters have the same name, 'warmup\[1\]'",
        ),
    ],
    ids=["also at the top", "also nested", "under two fields", "under itself", "equal as text"],
)
def test_a_place_that_would_be_filled_twice_is_refused(space, message):
    with pytest.raises(ValueError, match=message):
        check_space(space, Recipe())


def test_an_argument_under_a_choice_that_an_architecture_lacks_is_named_too(data):
    space = {"optimizer": {"adamw": {"model_args": {"drop_rat": [0.0]}}}}
    with pytest.raises(ValueError, match=r"unknown argument of simple_cnn .* 'drop_rat'"):
        check_model_args(space, "simple_cnn", data)
