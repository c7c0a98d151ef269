"""What a search refuses before its first trial."""

import sys

import pytest

import medzoo
from medzoo.errors import WeightsError
from medzoo.search import default_space
from medzoo.search import run as run_module
from medzoo.training import Recipe


def test_validation_images_of_one_class_are_refused_before_the_first_trial(run, data, tmp_path):
    rows = (data.train.labels == 0).nonzero()[:4, 0].tolist()
    others = [row for row in range(len(data.train)) if row not in rows]
    same = medzoo.datasets.resplit(data, {"train": others, "val": rows, "test": range(36, 40)})
    with pytest.raises(ValueError, match=r"the validation split of .* are of one class"):
        run(data=same, storage=tmp_path / "study.db")
    assert not (tmp_path / "study.db").exists()


def test_a_budget_that_nothing_fits_is_refused_before_the_first_trial(run, tmp_path):
    with pytest.raises(ValueError, match=r"no network .* simple_cnn has .* max_params=1000"):
        run(trials=1, max_params=1000, storage=tmp_path / "study.db")
    with pytest.raises(ValueError, match="max_params=0 must be above 0"):
        run(trials=1, max_params=0)
    assert not (tmp_path / "study.db").exists()


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
