"""Spaces of the architecture search: every suggestion builds, and costs no more than allowed."""

import json
import sys

import pytest
import torch

import medzoo
from medzoo.models import create_model, model_cost
from medzoo.search import budget
from medzoo.search.architectures import (
    check_fixed_args,
    default_architecture_params,
    searchable_args,
    suggest_architecture,
)

optuna = pytest.importorskip("optuna")

DERMA = medzoo.dataset_info("dermamnist")
CHEST = medzoo.dataset_info("chestmnist")


def random_study(seed=0):
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))


def build(architecture, info, size, args):
    with torch.device("meta"):
        return create_model(architecture, dataset=info, size=size, **args).eval()


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("architecture", medzoo.list_models())
@pytest.mark.parametrize(
    ("name", "size"), [("dermamnist", 28), ("pathmnist", 64), ("chestmnist", 224)]
)
def test_the_network_that_is_built_by_default_is_in_the_space(architecture, size, name):
    info = medzoo.dataset_info(name)
    params = default_architecture_params(architecture, info, size)
    assert all(key.startswith(f"{architecture}.") for key in params)
    trial = optuna.trial.FixedTrial(params)
    args = suggest_architecture(trial, architecture, info, size)
    assert trial.params == params  # FixedTrial refuses values outside of the space
    assert str(build(architecture, info, size, args)) == str(build(architecture, info, size, {}))


@pytest.mark.parametrize("architecture", medzoo.list_models())
@pytest.mark.parametrize(
    "limits",
    [
        {"max_params": 4e5},
        pytest.param({"max_params": 1e6, "max_mflop": 100}, marks=pytest.mark.slow),
    ],
)
def test_suggestions_are_within_the_budget(architecture, limits):
    trial = random_study(seed=len(limits)).ask()
    args = suggest_architecture(trial, architecture, CHEST, 28, **limits)
    about = trial.user_attrs
    count = parameters(build(architecture, CHEST, 28, args))
    assert count == about["parameters"] <= limits["max_params"]
    assert about["mflop"] <= limits.get("max_mflop", about["mflop"])
    assert about["model_args"] == args == json.loads(json.dumps(args))


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("advanced_cnn", 28), ("attention_unet", 64), ("efficientnet", 64), ("simple_cnn", 28)],
)
def test_suggestions_run(architecture, size):
    trial = random_study(seed=size).ask()
    args = suggest_architecture(trial, architecture, DERMA, size, max_params=3e5)
    model = create_model(architecture, dataset=DERMA, size=size, **args).eval()
    with torch.inference_mode():
        logits = model(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", medzoo.list_models())
def test_all_of_a_space_can_be_built(architecture, monkeypatch):
    """Without a budget, whose search for widths is what takes long."""
    costs = []
    monkeypatch.setattr(
        sys.modules[suggest_architecture.__module__], "model_cost", lambda *_, **__: next(one)
    )
    for size in (28, 64):
        study = random_study(seed=size)
        for _ in range(25):
            one = iter([medzoo.models.ModelCost(1, 1, size)])
            args = suggest_architecture(study.ask(), architecture, DERMA, size)
            model = build(architecture, DERMA, size, args)
            last = -(-size // model.feature_info[-1]["reduction"])
            assert 2 <= last <= 14 or "strides" not in args
            costs.append(parameters(model))
    assert max(costs) > 4 * min(costs)


def test_a_narrower_network_has_the_same_shape():
    params = default_architecture_params("efficientnet", DERMA, 28)
    free, narrow = (
        suggest_architecture(optuna.trial.FixedTrial(params), "efficientnet", DERMA, 28, **limits)
        for limits in ({}, {"max_params": 6e5})
    )
    changed = {name for name in free if free[name] != narrow[name]}
    assert changed == {"widths", "head_width"}
    assert free["widths"] == [48, 96, 128, 192]
    ratios = [a / b for a, b in zip(narrow["widths"], free["widths"], strict=True)]
    assert max(ratios) - min(ratios) < 0.1
    # Most of the budget is used.
    assert 5e5 < parameters(build("efficientnet", DERMA, 28, narrow)) <= 6e5


def test_what_cannot_get_narrow_enough_is_pruned():
    with pytest.raises(optuna.TrialPruned, match="with 8 channels everywhere, simple_cnn has"):
        suggest_architecture(random_study().ask(), "simple_cnn", DERMA, 28, max_params=1000)


@pytest.mark.parametrize("architecture", medzoo.list_models())
def test_a_budget_is_refused_only_if_no_suggestion_fits(architecture):
    data = medzoo.synthetic("dermamnist", n_train=8, n_val=8, n_test=8)
    least = random_study()
    least.sampler = budget._Least()
    args = suggest_architecture(least.ask(), architecture, data.info, 28)
    narrow = {"widths": [8] * len(args["widths"])}
    narrow |= {"head_width": 8} if "head_width" in args else {}
    cost = model_cost(architecture, dataset=data.info, size=28, **args | narrow)
    budget.check_budget(architecture, data, cost.parameters, cost.mflop)
    for limits in [(cost.parameters - 1, None), (None, 0.99 * cost.mflop)]:
        with pytest.raises(ValueError, match=f"leave {architecture} out of models="):
            budget.check_budget(architecture, data, *limits)
    study = random_study()
    for _ in range(10):
        other = suggest_architecture(study.ask(), architecture, data.info, 28)
        found = model_cost(architecture, dataset=data.info, size=28, **other | narrow)
        assert found.parameters >= cost.parameters
        assert found.mflop >= cost.mflop


def test_a_study_begins_with_the_default_and_goes_on_by_itself():
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=2))
    study.enqueue_trial(default_architecture_params("simple_cnn", DERMA, 28))

    def objective(trial):
        args = suggest_architecture(trial, "simple_cnn", DERMA, 28, max_params=2e6)
        return sum(args["widths"])

    study.optimize(objective, n_trials=4)
    assert study.trials[0].user_attrs["model_args"]["widths"] == [56, 128, 256]
    assert study.trials[0].value == 440
    assert len({trial.value for trial in study.trials}) > 1


def test_what_was_found_can_be_trained_from_a_recipe_file(tmp_path):
    data = medzoo.synthetic("breastmnist", n_train=32, n_val=16, n_test=16)
    trial = random_study().ask()
    args = suggest_architecture(trial, "efficientnet", data.info, data.size, max_params=5e4)
    recipe = medzoo.recipe_for("efficientnet", data).with_changes(epochs=1, model_args=args)
    file = tmp_path / "best.json"
    file.write_text(json.dumps(recipe.to_dict()))
    run = medzoo.train("efficientnet", data, file, output=tmp_path, progress=False)
    assert run.recipe == recipe
    assert medzoo.create_model(run.weights).spec.model_args.items() >= args.items()
    assert parameters(run.model) == trial.user_attrs["parameters"]


def test_errors_name_what_was_expected():
    trial = random_study().ask()
    with pytest.raises(ValueError, match=r"architecture for a search 'timm/resnet18'; known: adv"):
        suggest_architecture(trial, "timm/resnet18", DERMA, 28)
    for name in ("strides", "width"):
        with pytest.raises(ValueError, match=f"unknown argument in vary= '{name}'; did you mean"):
            suggest_architecture(trial, "simple_cnn", DERMA, 28, vary=[name])
        with pytest.raises(ValueError, match=f"unknown argument in vary= '{name}'"):
            default_architecture_params("simple_cnn", DERMA, 28, vary=name)
    with pytest.raises(ValueError, match="max_params=0 must be above 0"):
        suggest_architecture(trial, "simple_cnn", DERMA, 28, max_params=0)
    with pytest.raises(TypeError, match="max_mflop='5' must be a finite number"):
        suggest_architecture(trial, "simple_cnn", DERMA, 28, max_mflop="5")


def test_arguments_that_stay_count_in_the_budget():
    params = default_architecture_params("simple_cnn", DERMA, 28)
    kept = {"global_pool": "catavgmax", "drop_rate": 0.1}
    limit = 1000 + suggest_cost(params, {})
    args = suggest_architecture(
        optuna.trial.FixedTrial(params), "simple_cnn", DERMA, 28, max_params=limit, model_args=kept
    )
    assert args.items() >= kept.items()
    assert parameters(build("simple_cnn", DERMA, 28, args)) <= limit < suggest_cost(params, kept)


def suggest_cost(params, kept):
    trial = optuna.trial.FixedTrial(params)
    suggest_architecture(trial, "simple_cnn", DERMA, 28, model_args=kept)
    return trial.user_attrs["parameters"]


@pytest.mark.parametrize("architecture", medzoo.list_models())
@pytest.mark.parametrize("size", [28, 64])
def test_the_arguments_of_a_bundled_recipe_are_where_the_search_starts(architecture, size):
    for name in ("dermamnist", "breastmnist"):
        recipe = medzoo.recipe_for(architecture, f"{name}_{size}")
        info = medzoo.dataset_info(name)
        check_fixed_args(architecture, info, size, recipe.model_args)


def space_by_function(trial, recipe):
    return {"model_args": {"depth": trial.suggest_int("depth", 1, 3)}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"recipe": {"model_args": {"widths": [16, 32, 64]}}},
            r"model_args: widths=\[16, 32, 64\] is not where .* of simple_cnn starts, widths=\[",
        ),
        ({"space": {"model_args": {"depth": [1, 2]}}}, r"space= changes model_args 'depth'"),
        (
            {"space": {"optimizer": {"adamw": {"model_args": {"depth": [1]}}}}},
            r"space= changes model_args 'depth'",
        ),
    ],
    ids=["recipe", "space", "under a choice"],
)
@pytest.mark.parametrize("limit", [{"architecture": True}, {"max_params": 1e5}])
def test_arguments_that_the_search_chooses_are_not_set_beside_it(run, options, message, limit):
    with pytest.raises(ValueError, match=message):
        run(trials=1, **options, **limit)


def test_a_search_keeps_the_recipes_other_arguments(run):
    recipe = {"model_args": {"global_pool": "catavgmax"}}
    space = {"model_args": {"drop_rate": [0.1, 0.2]}}
    result = run(trials=3, recipe=recipe, space=space, max_params=3e5)
    assert [trial.state for trial in result.trials] == ["complete"] * 3
    for number, trial in enumerate(result.trials):
        args = dict(trial.recipe.model_args)
        assert args["global_pool"] == "catavgmax"
        assert number == 0 or args["drop_rate"] == trial.params["model_args.drop_rate"]
        info = medzoo.dataset_info("breastmnist")
        assert parameters(build("simple_cnn", info, 28, args)) <= 3e5


@pytest.mark.parametrize("architecture", medzoo.list_models())
def test_only_what_may_vary_varies(architecture):
    everything = searchable_args(architecture, DERMA, 28)
    default = suggest_architecture(
        optuna.trial.FixedTrial(default_architecture_params(architecture, DERMA, 28)),
        architecture,
        DERMA,
        28,
    )
    assert list(default) == everything
    for name in everything:
        study = random_study()
        found = [
            suggest_architecture(study.ask(), architecture, DERMA, 28, vary=[name])
            for _ in range(8)
        ]
        assert {key for args in found for key in args} == {name}
        assert any(args[name] != default[name] for args in found)
        first = optuna.trial.FixedTrial(
            default_architecture_params(architecture, DERMA, 28, vary=[name])
        )
        args = suggest_architecture(first, architecture, DERMA, 28, vary=[name])
        assert args == {name: default[name]}


def test_what_does_not_vary_is_as_the_recipe_says():
    kept = {"stem_stride": 1, "head_width": 64, "strides": [1, 2, 2, 1]}
    trial = random_study().ask()
    args = suggest_architecture(
        trial, "efficientnet", DERMA, 28, max_params=4e5, model_args=kept, vary=["widths"]
    )
    assert args.items() >= kept.items()
    assert set(args) == {*kept, "widths"}
    assert set(trial.params) == {f"efficientnet.width_{stage}" for stage in (1, 2, 3, 4)}
    assert parameters(build("efficientnet", DERMA, 28, args)) <= 4e5
    with pytest.raises(ValueError, match="widths of efficientnet may not vary; add 'widths' to"):
        suggest_architecture(trial, "efficientnet", DERMA, 28, max_params=4e5, vary=["depths"])


@pytest.mark.parametrize("architecture", ["advanced_cnn", "efficientnet"])
@pytest.mark.parametrize("name", ["depths", "strides", "kernel_size", "expansion"])
def test_what_does_not_vary_may_be_one_number_for_all_stages(architecture, name):
    trial = random_study().ask()
    kept = {name: 1}
    args = suggest_architecture(
        trial, architecture, DERMA, 28, model_args=kept, vary=["widths", "stem_stride"]
    )
    assert args[name] == 1
    default_architecture_params(architecture, DERMA, 28, model_args=kept, vary=["widths"])
    build(architecture, DERMA, 28, args)


@pytest.mark.parametrize("architecture", ["advanced_cnn", "efficientnet"])
def test_a_list_of_the_default_is_where_the_search_starts(architecture):
    kept = {"kernel_size": [3, 3, 3, 3]}
    params = default_architecture_params(architecture, DERMA, 28, model_args=kept)
    assert params == default_architecture_params(architecture, DERMA, 28)
    trial = optuna.trial.FixedTrial(params)
    assert suggest_architecture(trial, architecture, DERMA, 28, model_args=kept).items() >= (
        kept.items()
    )


@pytest.mark.parametrize(
    ("strides", "stem"),
    [([2, 2, 2, 2], {1}), ([2, 2, 2, 1], {1, 2}), ([1, 1, 1, 1], {2}), ([4, 1, 1, 1], {1, 2})],
)
def test_the_stem_leaves_room_for_strides_that_do_not_vary(strides, stem):
    study, found = random_study(), set()
    for _ in range(8):
        args = suggest_architecture(
            study.ask(),
            "efficientnet",
            DERMA,
            28,
            model_args={"strides": strides},
            vary=["stem_stride"],
        )
        assert args["strides"] == strides
        found.add(args["stem_stride"])
    assert found == stem


def test_neighbours_differ_from_where_the_search_starts(run):
    result = run(trials=10, space={}, architecture=["depth", "kernel_size", "stem_stride"])
    start = result.trials[0].params
    # What changes is drawn from all values, so that it may be the first one again.
    assert sum(trial.params == start for trial in result.trials[1:]) <= 4


def test_a_model_of_which_nothing_would_change_is_refused(data, formula):
    models = ["simple_cnn", "efficientnet"]
    options = {"trials": 1, "storage": None, "progress": False, "architecture": ["head_width"]}
    with pytest.raises(ValueError, match="nothing of simple_cnn would change: it has no argument"):
        medzoo.search(data, models, {}, **options)
    medzoo.search(data, models, {"warmup": [0.0, 0.2]}, **options)


def test_a_search_of_named_arguments(run):
    recipe = {"model_args": {"widths": [16, 24, 32]}}
    result = run(trials=4, recipe=recipe, space={}, architecture=["depth", "kernel_size"])
    assert result.trials[0].is_baseline
    for trial in result.trials:
        assert set(trial.params) == {"simple_cnn.depth", "simple_cnn.kernel_size"}
        assert trial.recipe.model_args["widths"] == [16, 24, 32]
    again = run(trials=4, recipe=recipe, space={}, architecture=("kernel_size", "depth"))
    assert [trial.params for trial in again.trials] == [trial.params for trial in result.trials]


@pytest.mark.parametrize(
    ("architecture", "error", "message"),
    [
        (["depths"], ValueError, "unknown argument in architecture= 'depths'; did you mean 'dep"),
        ([], TypeError, r"architecture=\[\] must be True, False or names of arguments"),
        (1, TypeError, "architecture=1 must be True, False or names"),
        ([1], TypeError, r"architecture=\[1\] must be"),
    ],
)
def test_what_is_no_argument_is_refused(run, architecture, error, message):
    with pytest.raises(error, match=message):
        run(trials=1, architecture=architecture)


def test_a_function_that_sets_what_the_search_chooses_is_told(run):
    result = run(trials=2, space=space_by_function, architecture=True)
    assert result.trials[1].state == "failed"
    assert "space= changes model_args 'depth'" in result.trials[1].reason
