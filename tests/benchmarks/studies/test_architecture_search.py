"""The architecture search: what it finds becomes a recipe of the row, and is compared honestly."""

import pytest

import medzoo
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction import searched
from benchmarks.reproduction.measure import Options, train_row
from benchmarks.reproduction.record import Record
from benchmarks.reproduction.rows import Row
from benchmarks.reproduction.source import Source
from benchmarks.studies.architectures import architecture_search as study
from benchmarks.studies.study import NamedTrial
from medzoo.models import model_cost

ROW = "octmnist/efficientnet"
SMALL = {"widths": [8, 16], "depths": [1, 1], "strides": [1, 2], "expansion": 2, "head_width": 16}


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Keep the searches in a file of the test."""
    records = ResultsFile(tmp_path / "records.json")
    monkeypatch.setattr(study, "RECORDS", records)
    monkeypatch.setattr(searched, "RECORDS", records)
    return records


def test_a_search_starts_from_the_row_and_leaves_its_length_alone(records, tmp_path, monkeypatch):
    data = medzoo.synthetic("octmnist", n_train=40, n_val=20, n_test=4)
    search, calls = medzoo.search, []

    def one_trial(data, model, space, **options):
        calls.append(options)
        return search(data, model, space, **options | {"time_limit": None, "trials": 1})

    monkeypatch.setattr(study, "STORAGE", tmp_path / "new" / "study.db")
    monkeypatch.setattr(study, "SHORTER", 40)
    monkeypatch.setattr(medzoo, "search", one_trial, raising=False)
    monkeypatch.setattr(Source, "load", lambda self, name: data)
    record = study.run(NamedTrial(ROW), Source())

    (options,) = calls
    assert options["max_params"] == 2.45e6
    assert options["max_mflop"] == model_cost("efficientnet", dataset="octmnist").mflop
    assert options["recipe"].epochs == 1
    row = medzoo.recipe_for("efficientnet", "octmnist").to_dict()
    changes = record["changes"]
    network = {name: changes["model_args"].pop(name) for name in ("widths", "fused_stages")}
    assert network == {"widths": [48, 96, 128, 192], "fused_stages": 2}
    assert changes["model_args"].items() >= row["model_args"].items()
    assert {name: changes[name] for name in changes if name != "model_args"} == {
        name: row[name] for name in changes if name != "model_args"
    }
    searched = {"optimizer", "learning_rate", "batch_size", "augmentation", "model_args"}
    assert set(changes) >= searched
    assert not {"epochs", "class_weights", "label_smoothing", "validate_every"} & set(changes)
    assert record["trials"][record["best"]]["is_baseline"]


def test_what_was_found_is_trained_as_a_variant_of_its_row(records, tmp_path):
    data = medzoo.synthetic("octmnist", n_train=32, n_val=20, n_test=20)
    options = Options(
        train=True, searched=True, seeds=(0, 1), epochs=1, device="cpu", output=tmp_path
    )
    row = Row("octmnist", "efficientnet")
    train_row(row, data, options)
    assert row.problem == "not searched"
    assert "'octmnist/efficientnet', only for: none" in row.reason

    changes = {"learning_rate": 0.01, "batch_size": 16, "model_args": SMALL}
    records.save(ROW, {"changes": changes})
    row = Row("octmnist", "efficientnet")
    train_row(row, data, options)
    assert row.parameters < 10_000
    recipes = [run["recipe"] for run in row.runs]
    assert [recipe["learning_rate"] for recipe in recipes] == [0.01, 0.01]
    assert {recipe["class_weights"] for recipe in recipes} == {"balanced"}  # as the row has it
    assert (tmp_path / "searched" / "octmnist" / "models").is_dir()


def test_the_table_compares_with_what_is_bundled(records, tmp_path):
    trials = [{"state": state, "seconds": 1800.0} for state in ("complete", "pruned", "pruned")]
    records.save(ROW, {"changes": {}, "trials": trials, "data": "OCTMNIST (a part)"})
    _train("", tmp_path, [0.9, 0.92], {})
    assert "searched" not in study.table(tmp_path)
    _train("searched", tmp_path, [0.93, 0.95], SMALL)
    table = study.table(tmp_path)
    assert "| OCTMNIST (a part) | bundled | 2.44 M | 215 | 0.9100 ± 0.0141 |" in table
    assert "| OCTMNIST (a part) | searched | 0.00 M |" in table
    assert "1.5 hours of search, 3 trials, of which 2 ended early" in table
    assert "found a better network: validation AUC +0.0300" in table
    _train("searched", tmp_path, [0.919, 0.99], SMALL)  # not with every seed
    assert "gained nothing certain" in study.table(tmp_path)


def _train(variant, folder, aucs, model_args):
    record = Record("octmnist", "efficientnet", variant, folder)
    for seed, auc in enumerate(aucs):
        recipe = medzoo.Recipe(epochs=1, seed=seed, model_args=model_args).to_dict()
        report = {"auc": 0.9, "acc": 0.8}
        record.save(
            {"seed": seed, "recipe": recipe, "val_auc": auc, "seconds": 60.0, "report": report}
        )
