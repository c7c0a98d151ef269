"""The architecture search: what it finds is trained with several seeds, and compared honestly."""

from types import SimpleNamespace

import pytest

import medzoo
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.architectures import architecture_search as study

FOUND = medzoo.Recipe(
    epochs=1,
    model_args={"widths": [8, 16], "depths": [1, 1], "strides": [1, 2], "expansion": 2},
)


@pytest.fixture
def searches(tmp_path, monkeypatch):
    """Run the study on small data; the search is replaced by what it would have found."""
    calls = []
    monkeypatch.setattr(study, "RECORDS", ResultsFile(tmp_path / "records.json"))
    monkeypatch.setattr(study, "STORAGE", tmp_path / "new" / "study.db")
    monkeypatch.setattr(study, "DATASETS", ("dermamnist",))

    def search(data, model, **options):
        calls.append(options)
        best = SimpleNamespace(values={"val_auc": 0.8})
        found = FOUND.with_changes(epochs=2)
        return SimpleNamespace(recipe=found, best=best, trials=[SimpleNamespace(seconds=7200)])

    def train(model, data, recipe):
        network = medzoo.create_model(model, dataset=data, **recipe.model_args)
        return SimpleNamespace(model=network, val_auc=0.5 + recipe.seed / 10)

    data = medzoo.synthetic("dermamnist", n_train=40, n_val=20, n_test=20)
    monkeypatch.setattr(medzoo, "search", search, raising=False)
    monkeypatch.setattr(medzoo, "train", train)
    monkeypatch.setattr(Source, "load", lambda self, name: data)
    monkeypatch.setattr(
        medzoo,
        "recipe_for",
        lambda *_: FOUND.with_changes(epochs=20, validate_every=4, model_args={"widths": [16, 8]}),
    )
    return calls


def test_what_was_found_is_trained_with_each_seed(searches, monkeypatch):
    for step in study.steps():
        study.RECORDS.save(step.key, study.run(step, Source()))
    assert [call["max_params"] for call in searches] == [2.45e6]
    assert [call["recipe"].epochs for call in searches] == [4]
    records = study.RECORDS.read()
    found = [records[f"dermamnist: searched seed {seed}"] for seed in study.SEEDS]
    assert [record["recipe"]["seed"] for record in found] == [0, 1, 2]
    assert {tuple(record["recipe"]["model_args"]["widths"]) for record in found} == {(8, 16)}
    assert {record["recipe"]["epochs"] for record in found} == {10}
    assert {record["recipe"]["validate_every"] for record in found} == {4}
    assert [record["val_auc"] for record in found] == [0.5, 0.6, 0.7]
    assert all(study._is_current(records[s.key], s, Source()) for s in study.steps())
    table = study.table()
    assert table.count("| searched |") == table.count("| bundled |") == 1
    assert "| 2.0 |" in table


def test_trainings_of_an_earlier_search_are_repeated(searches):
    study.RECORDS.save("dermamnist: search", {"recipe": FOUND.to_dict()})
    old = {"recipe": FOUND.with_changes(epochs=2).to_dict()}
    assert not study._is_current(old, study.Step("dermamnist", "searched"), Source())


@pytest.mark.parametrize(
    ("searched", "verdict"),
    [([0.8, 0.82, 0.84], "gained nothing certain"), ([0.86, 0.87, 0.9], "found a better network")],
)
def test_only_a_gain_with_every_seed_is_called_one(searched, verdict):
    runs = [{"data": "DermaMNIST", "val_auc": auc} for auc in searched]
    before = [{"data": "DermaMNIST", "val_auc": auc} for auc in (0.79, 0.81, 0.83)]
    assert verdict in study._gain(runs, before)
