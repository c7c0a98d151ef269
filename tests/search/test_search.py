"""A search: what it starts from, what it keeps, how it ends, and what it never reads."""

import json
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution

import medzoo
from medzoo.errors import TrainingError, WeightsError
from medzoo.search import budget, default_space
from medzoo.search import run as run_module
from medzoo.search import study as loop
from medzoo.search.trial import objective, pruning
from medzoo.training import Recipe, load_recipe, recipe_for
from tests.search import formula as formulas

RATES = {"learning_rate": FloatDistribution(1e-4, 1.0, log=True)}
TINY = {"epochs": 2, "batch_size": 8, "model_args": {"widths": [4, 4, 8]}}


def numbers(result):
    return [trial.number for trial in result.trials]


def params(result):
    return [trial.params for trial in result.trials]


# With real trainings


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


def test_trained_weights_are_candidates_and_what_is_found_starts_from_them(data, tmp_path):
    pretrained = "simple_cnn.pneumoniamnist"
    models = ["simple_cnn", pretrained]
    short = {"epochs": 1, "batch_size": 8}
    result = medzoo.search(data, models, recipe=short, trials=3, storage=None, progress=False)
    first, second, _ = result.trials
    assert (first.model, first.recipe.backbone) == ("simple_cnn", "")
    assert (second.model, second.recipe.backbone) == (pretrained, pretrained)
    assert "layer_decay" not in second.params
    assert result.model == "simple_cnn"

    recipe = load_recipe("finetune", "simple_cnn", data, backbone=pretrained)
    recipe = recipe.with_changes(**short)
    alone = medzoo.search(data, pretrained, recipe=recipe, trials=1, storage=None, progress=False)
    assert alone.best.recipe == recipe
    assert 0.5 <= alone.best.params["layer_decay"] <= 1
    path = alone.save(tmp_path / "best.json")
    again = medzoo.train(alone.model, data, path, progress=False)
    assert again.val_auc == alone.best.values["val_auc"]
    assert again.recipe.backbone == pretrained


def test_trained_weights_start_from_the_recipe_of_fine_tuning(data, formula):
    pretrained = "simple_cnn.pneumoniamnist"
    result = medzoo.search(data, pretrained, trials=1, storage=None, progress=False)
    assert result.recipe == load_recipe("finetune", "simple_cnn", data, backbone=pretrained)


def test_the_first_trial_has_the_recipe_that_train_would_use_without_a_validation_split(formula):
    whole = medzoo.synthetic("breastmnist", n_train=120, n_val=20, n_test=4)
    data = medzoo.Dataset.from_arrays((whole.train.images, whole.train.labels))
    with pytest.warns(UserWarning, match="has no val split"):
        result = medzoo.search(data, "simple_cnn", trials=1, storage=None, progress=False)
    divided = medzoo.datasets.hold_out_validation(data)
    assert result.recipe == load_recipe("default", "simple_cnn", divided)
    assert result.recipe.epochs != load_recipe("default", "simple_cnn", data).epochs


def test_a_recipe_with_a_teacher_is_refused(run):
    with pytest.raises(ValueError, match=r"distillation=0\.8, but a search has no teacher; set"):
        run(trials=1, recipe="distilled")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"model_args": {"widhts": [4, 8]}}, "model_args=.* do not fit 'simple_cnn'.*widths"),
        ({"model_args": {"drop_rate": 2}}, r"drop_rate=2 must be in \[0, 1\)"),
        ({"freeze": 9}, "the recipe of simple_cnn cannot be trained: .*stages"),
        ({"class_weights": {"no such class": 2.0}}, "cannot be trained: .*no such class"),
    ],
)
def test_a_recipe_with_which_no_trial_could_begin_is_refused_before_the_first(
    run, recipe, message, tmp_path
):
    with pytest.raises(ValueError, match=message):
        run(trials=1, recipe=recipe, storage=tmp_path / "study.db")
    assert not (tmp_path / "study.db").exists()


def test_other_weights_in_a_file_of_the_same_name_begin_another_search(data, formula, tmp_path):
    storage, file = tmp_path / "study.db", tmp_path / "own.safetensors"
    for seed in range(2):
        torch.manual_seed(seed)
        medzoo.save_weights(medzoo.create_model("simple_cnn", dataset=data, widths=[4, 4, 8]), file)
        result = medzoo.search(data, file, trials=1 + seed, storage=storage, progress=False)
        assert len(result.trials) == 1 + seed
    assert len(optuna.get_all_study_names(f"sqlite:///{storage}")) == 2
    file.unlink()
    assert result.to_dict()["model"] == "simple_cnn"


def test_a_recipe_may_start_from_weights_of_timm(data, formula):
    recipe = {"backbone": "timm/resnet18.a1_in1k", "epochs": 1}
    result = medzoo.search(
        data, "timm/resnet18", recipe=recipe, trials=1, storage=None, progress=False
    )
    assert result.recipe.backbone == "timm/resnet18.a1_in1k"


def test_the_architecture_of_trained_weights_cannot_be_searched(data):
    with pytest.raises(ValueError, match=r"names trained weights, .* give 'simple_cnn', or search"):
        medzoo.search(data, "simple_cnn.dermamnist", trials=1, max_params=1e6, storage=None)


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


# With a formula instead of trainings


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


def test_several_models_start_with_their_own_recipes(data, formula, tmp_path):
    models = ["simple_cnn", "efficientnet"]
    result = medzoo.search(data, models, trials=6, storage=None, progress=False)
    assert [trial.model for trial in result.trials[:2]] == models
    for trial in result.trials[:2]:
        assert trial.recipe == recipe_for(trial.model, data)
    assert {trial.model for trial in result.trials[2:]} <= set(models)


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


def test_an_interrupted_trial_is_repeated(run, monkeypatch, tmp_path):
    kept = {"space": RATES, "storage": tmp_path / "study.db"}

    def interrupt(*_, **__):
        raise KeyboardInterrupt

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

    def interrupt(*_, **__):
        raise KeyboardInterrupt

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


def test_functions_of_one_name_begin_searches_of_their_own(run, tmp_path):
    names = set()
    for source in ("{'warmup': 0.1}", "{'warmup': 0.2}"):
        space = eval(f"lambda trial, recipe: {source}")
        result = run(trials=2, space=space, storage=tmp_path / "study.db")
        assert result.trials[1].recipe.warmup == space(None, None)["warmup"]
        names.add(result.study.study_name)
    assert len(names) == 2


def test_validation_images_of_one_class_are_refused_before_the_first_trial(run, data, tmp_path):
    rows = (data.train.labels == 0).nonzero()[:4, 0].tolist()
    others = [row for row in range(len(data.train)) if row not in rows]
    same = medzoo.datasets.resplit(data, {"train": others, "val": rows, "test": range(36, 40)})
    with pytest.raises(ValueError, match=r"the validation split of .* are of one class"):
        run(data=same, storage=tmp_path / "study.db")
    assert not (tmp_path / "study.db").exists()


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


def test_a_budget_that_nothing_fits_is_refused_before_the_first_trial(run, tmp_path):
    with pytest.raises(ValueError, match=r"no network .* simple_cnn has .* max_params=1000"):
        run(trials=1, max_params=1000, storage=tmp_path / "study.db")
    with pytest.raises(ValueError, match="max_params=0 must be above 0"):
        run(trials=1, max_params=0)
    assert not (tmp_path / "study.db").exists()


def test_lines_show_the_best_trial_and_the_time_left(run, capsys):
    run(trials=2, progress=None)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("trial 0: simple_cnn val_auc 0.")
    assert "best val_auc 0." in second
    assert second.endswith(" left")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"trials": None}, ValueError, "give trials=, a number, or time_limit="),
        ({"trials": 0}, ValueError, "trials=0 must be"),
        ({"time_limit": -1}, ValueError, "time_limit=-1 must be"),
        ({"time_limit": "2h"}, ValueError, "time_limit='2h' must be"),
        ({"seed": -1}, ValueError, "seed=-1 must be"),
        ({"objectives": "auc"}, ValueError, "unknown objective 'auc'; did you mean 'val_auc'"),
        ({"objectives": ["mflop"]}, ValueError, "expected a score"),
        ({"objectives": ["val_auc", "mflop"], "pruner": "hyperband"}, ValueError, "be pruned"),
        ({"pruner": "median"}, ValueError, "unknown pruner 'median'"),
        ({"pruner": 3}, TypeError, "neither a name nor a pruner"),
        ({"sampler": "bayes"}, ValueError, "unknown sampler 'bayes'"),
        ({"sampler": 3}, TypeError, "neither a name nor a sampler"),
        ({"folds": 0}, ValueError, "folds=0 must be"),
        ({"recipe": "fastest"}, ValueError, "unknown recipe 'fastest'"),
        ({"data": "folder"}, TypeError, "data"),
    ],
)
def test_wrong_arguments_are_refused(run, options, kind, message):
    with pytest.raises(kind, match=message):
        run(**options)


@pytest.mark.parametrize("models", [[], ["simple_cnn"] * 2, "resnet"])
def test_wrong_models_are_refused(data, models):
    with pytest.raises(ValueError, match=r"models=|unknown model"):
        medzoo.search(data, models, trials=1, storage=None)
    with pytest.raises(WeightsError, match=r"no weights were published for 'simple_cnn.nothing'"):
        medzoo.search(data, "simple_cnn.nothing", trials=1, storage=None)


def test_torchrun_is_refused(run, monkeypatch):
    monkeypatch.setattr(run_module, "is_torchrun", lambda: True)
    with pytest.raises(ValueError, match="start the same command several times"):
        run()


def test_without_optuna_the_extra_is_named(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"medzoo\[search\]"):
        medzoo.search(data, trials=1)
    with pytest.raises(ImportError, match=r"medzoo\[search\]"):
        default_space(Recipe(), data.info, 10)


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
