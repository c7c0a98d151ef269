"""The fine-tuning study: settings are recipes, scored on folds; the table shows what is known."""

import pytest

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies.transfer import backbones, finetuning
from medzoo.training import load_recipe


class Synthetic(Source):
    """Returns synthetic images instead of MedMNIST files."""

    def load(self, dataset, size=28):
        return medzoo.synthetic(dataset, n_train=48, n_val=24, n_test=5)


@pytest.mark.parametrize("setting", finetuning.SETTINGS)
def test_a_setting_changes_the_recipe_as_its_name_says(setting):
    recipe = load_recipe("finetune", "advanced_cnn", "breastmnist")
    changed = recipe.with_changes(**finetuning.SETTINGS[setting])
    optimizer, rate = setting.split(",")[0].split()
    assert changed.optimizer == optimizer.lower()
    assert changed.learning_rate == float(rate)
    assert (changed.layer_decay == 1.0) == ("alike" in setting)
    assert changed.augmentation == recipe.augmentation


def test_a_trial_is_the_mean_of_its_folds(monkeypatch):
    seen = []
    finetune = medzoo.finetune

    def short(backbone, data, recipe, **options):
        seen.append((data, recipe))
        return finetune(backbone, data, recipe.with_changes(epochs=1, validate_every=1), **options)

    monkeypatch.setattr(medzoo, "finetune", short)
    backbone = "simple_cnn.dermamnist"
    trial = finetuning.FinetuningTrial(
        "breastmnist", backbone, 0.5, "AdamW 0.005, all layers alike"
    )
    record = finetuning.run(trial, Synthetic())
    assert record["runs"] == len(seen) == 3
    assert [len(data.train) for data, _ in seen] == [24] * 3  # half of two thirds of 72
    assert sum(len(data.val) for data, _ in seen) == 72
    assert 0 <= record["val_auc"] <= 1
    recipe = medzoo.Recipe.from_dict(record["recipe"])
    assert (recipe.learning_rate, recipe.backbone) == (0.005, backbone)
    assert recipe.validate_every == recipe.epochs


def test_a_record_is_old_when_weights_or_recipe_have_changed():
    trial = finetuning.FinetuningTrial(
        "breastmnist", "simple_cnn.dermamnist", 0.3, "Muon 0.02, 0.7 a layer"
    )
    recipe = finetuning.recipe_of(trial)
    record = {"sha256": trial.sha256, "recipe": recipe.to_dict()}
    assert finetuning.is_current(record, trial, Synthetic())
    assert not finetuning.is_current(record | {"sha256": "0"}, trial, Synthetic())
    longer = recipe.with_changes(epochs=99).to_dict()
    assert not finetuning.is_current(record | {"recipe": longer}, trial, Synthetic())


def test_the_table_has_the_rows_with_figures():
    setting = list(finetuning.SETTINGS)[1]
    trial = finetuning.FinetuningTrial("retinamnist", "simple_cnn.dermamnist", 0.3, setting)
    (line,) = finetuning.table({trial.key: {"val_auc": 0.5}}).splitlines()[2:]
    assert line.startswith("| RetinaMNIST | simple_cnn.dermamnist | 30 % | - | 0.500 | - |")


def test_only_backbones_that_are_here_are_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    everything = {*finetuning.BACKBONES} - {backbones.OTHERS}
    for is_here, missing in ((True, set()), (False, {backbones.IMAGENET})):
        monkeypatch.setattr(backbones.imagenet, "is_installed", lambda is_here=is_here: is_here)
        assert {trial.backbone for trial in finetuning.trials()} == everything - missing
    backbone = backbones.path_of(without="retinamnist")
    backbone.parent.mkdir(parents=True)
    backbone.touch()
    found = [trial for trial in finetuning.trials() if trial.backbone == backbones.OTHERS]
    assert {trial.dataset for trial in found} == {"retinamnist"}
    assert found[0].weights == str(backbone)
