"""The study of newcomers: both ways are measured on the same images."""

from types import SimpleNamespace

import pytest

import medzoo
from benchmarks.studies.search import newcomer
from benchmarks.studies.search.newcomer import DEFAULTS, SEARCH, SPLITS, NewcomerTrial


@pytest.fixture
def record(monkeypatch, tmp_path):
    """A record of trainings of one epoch, and of a search that found a recipe at once."""
    train, seen = medzoo.train, []
    short = medzoo.Recipe(epochs=1)

    def search(folder, **options):
        seen.append((folder, options))
        trials = [SimpleNamespace(seconds=70.0), SimpleNamespace(seconds=20.0)]
        return SimpleNamespace(model="simple_cnn", recipe=short, trials=trials)

    monkeypatch.setitem(newcomer._TRIALS, "model", "simple_cnn")
    monkeypatch.setitem(newcomer.FOLDERS, "dermamnist", 60)
    monkeypatch.setattr(newcomer, "STORAGE", tmp_path / "study.db")
    monkeypatch.setattr(medzoo, "search", search)
    monkeypatch.setattr(medzoo, "train", lambda model, data, *_, **__: train(model, data, short))
    source = SimpleNamespace(load=lambda _: medzoo.synthetic("dermamnist", n_train=90, n_val=20))
    return newcomer.run(NewcomerTrial("dermamnist", 0), source), seen


def test_both_ways_are_measured_on_what_they_have_not_seen(record):
    found, ((folder, options),) = record
    assert options["time_limit"] == found["time_limit"] == 1200
    assert found["held_out_images"] == len(folder.test) == 110 - 60
    assert found["training_images"] + found["validation_images"] < 60
    for way in (DEFAULTS, SEARCH):
        assert all(0 <= found[way][split]["auc"] <= 1 for split in SPLITS)
    assert found[SEARCH]["trials"] == 2
    assert found[SEARCH]["seconds"] > 90
    assert newcomer.is_current(found, NewcomerTrial("dermamnist", 0), None)
    shorter = found | {"time_limit": 60}
    assert not newcomer.is_current(shorter, NewcomerTrial("dermamnist", 0), None)
    rows = newcomer.table({NewcomerTrial("dermamnist", 0).key: found}).splitlines()
    assert len(rows) == 4
    assert rows[2].startswith("| 60 of dermamnist | medzoo train | ")
    assert f"{found[SEARCH]['held_out']['auc']:.3f}" in rows[3]
