"""What a search starts from: recipes, trained weights, and what is refused beforehand."""

import optuna
import pytest
import torch

import medzoo
from medzoo.training import load_recipe, recipe_for


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


def test_several_models_start_with_their_own_recipes(data, formula, tmp_path):
    models = ["simple_cnn", "efficientnet"]
    result = medzoo.search(data, models, trials=6, storage=None, progress=False)
    assert [trial.model for trial in result.trials[:2]] == models
    for trial in result.trials[:2]:
        assert trial.recipe == recipe_for(trial.model, data)
    assert {trial.model for trial in result.trials[2:]} <= set(models)
