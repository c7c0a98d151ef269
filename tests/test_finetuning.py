"""benchmarks/finetuning.py: settings are recipes, scored on folds, and the table has what is there."""

import sys
from pathlib import Path

import pytest

import medzoo
from medzoo.training import load_recipe

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import finetuning
from source import Source
from transfer import STARTS, Start


class Synthetic(Source):
    """Gives synthetic images in place of MedMNIST's files."""

    def load(self, dataset, size=28):
        return medzoo.synthetic(dataset, n_train=48, n_val=24, n_test=5)


@pytest.mark.parametrize("setting", finetuning.SETTINGS)
def test_a_setting_changes_the_recipe_as_its_name_says(setting):
    recipe = load_recipe("finetune", "advanced_cnn", "breastmnist")
    changed = recipe.with_changes(**finetuning.SETTINGS[setting])
    optimizer, rate = setting.removesuffix(",").split(",")[0].split()
    assert changed.optimizer == optimizer.lower()
    assert changed.learning_rate == float(rate)
    assert (changed.layer_decay == 1.0) == ("alike" in setting)
    assert changed.augmentation == recipe.augmentation


def test_a_trial_is_the_mean_of_its_folds(monkeypatch):
    seen = []
    finetune = medzoo.finetune

    def short(trunk, data, recipe, **options):
        seen.append((data, recipe))
        return finetune(trunk, data, recipe.with_changes(epochs=1, validate_every=1), **options)

    monkeypatch.setattr(medzoo, "finetune", short)
    small = Start("small", "advanced_cnn.medmnist", trained=True)
    monkeypatch.setitem(STARTS, "dermamnist", small)
    trial = finetuning.Trial("breastmnist", "dermamnist", 0.5, "AdamW 0.005, all layers alike")
    record = finetuning.run(trial, Synthetic())
    assert record["runs"] == len(seen) == 3
    assert [len(data.train) for data, _ in seen] == [24] * 3  # half of two thirds of 72
    assert sum(len(data.val) for data, _ in seen) == 72
    assert 0 <= record["val_auc"] <= 1
    recipe = medzoo.Recipe.from_dict(record["recipe"])
    assert (recipe.learning_rate, recipe.trunk) == (0.005, "advanced_cnn.medmnist")
    assert recipe.validate_every == recipe.epochs


def test_the_table_has_a_mean_where_every_row_has_a_figure():
    settings = list(finetuning.SETTINGS)
    full = {
        finetuning.Trial(*case, settings[0]).key: {"val_auc": 0.5 + 0.1 * (k % 2)}
        for k, case in enumerate(
            (data, trunk, share)
            for data in finetuning.DATASETS
            for trunk in finetuning.TRUNKS
            for share in finetuning.SHARES
        )
    }
    lines = finetuning.table(full).splitlines()
    assert lines[2].startswith("| BreastMNIST | DermaMNIST | 30 % | 0.500 | - |")
    assert lines[-1].startswith("| mean | | | 0.550 | - |")
