"""The study of precisions: what it records of this machine, and how it is shown."""

import pytest

import medzoo
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies import precision


@pytest.fixture
def records(tmp_path, monkeypatch):
    file = ResultsFile(tmp_path / "precision.json")
    monkeypatch.setattr(precision, "RECORDS", file)
    return file


def test_the_record_is_of_this_processor_and_of_every_network(records, monkeypatch):
    monkeypatch.setattr(precision, "SECONDS", 0.0)
    monkeypatch.setattr(precision, "BATCH", 2)
    monkeypatch.setattr(medzoo, "list_models", lambda: ["simple_cnn"])
    (trial,) = precision.PRECISION.trials()
    record = precision.run(trial, Source())
    found = record["speedups"]["simple_cnn"]
    assert 0 < found["interval"][0] <= found["achieved"] <= found["interval"][1]
    assert found["noisy"]  # after one round
    assert record["auto"] in precision.PRECISIONS
    records.save(trial.key, record)
    assert f"| {trial.key} | {record['instructions']} |" in precision.table()
    assert ", noisy |" in precision.table()


def test_the_table_has_a_place_for_networks_that_were_not_measured(records):
    found = {"achieved": 0.5, "interval": [0.45, 0.55], "noisy": False}
    record = {"instructions": "AVX2", "auto": "float32", "speedups": {"simple_cnn": found}}
    records.save("Zen", record)
    row = precision.table().splitlines()[-1]
    assert row == "| Zen | AVX2 | - | - | - | 0.50x (0.45 to 0.55) | `float32` |"
