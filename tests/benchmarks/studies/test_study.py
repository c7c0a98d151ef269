"""Studies: the runner runs what has no current record, and every study can be listed and shown."""

import json
from dataclasses import replace

import pytest

from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.__main__ import STUDIES, main
from benchmarks.studies.study import NamedTrial, Study
from medzoo.weights import weights_index


@pytest.fixture
def study(tmp_path):
    ran = []

    def run(trial, source):
        ran.append(trial.key)
        return {"recipe": "new", "count": len(ran)}

    return Study(
        name="example",
        description="an example",
        results=ResultsFile(tmp_path / "example.json"),
        trials=lambda: [NamedTrial("one"), NamedTrial("two"), NamedTrial("three")],
        run=run,
        table=lambda: "a table",
        summary=lambda record: str(record["count"]),
        is_current=lambda record, trial, source: record["recipe"] == "new",
    )


def keys(study, **options):
    return [trial.key for trial, _ in study.run_missing(Source(), **options)]


def test_records_of_earlier_weights_are_not_current(study):
    first, second, third = list(weights_index().values())[:3]
    study = replace(
        study,
        trials=lambda: [NamedTrial(entry.name) for entry in (first, second, third)],
        of_weights=True,
    )
    study.results.save(first.name, {"recipe": "new", "sha256": first.sha256})
    study.results.save(second.name, {"recipe": "new", "sha256": first.sha256})
    study.results.save(third.name, {"recipe": "new"})
    assert keys(study) == [second.name, third.name]
    assert study.results.find(third.name)["sha256"] == third.sha256
    assert keys(study) == []


def test_trials_without_a_current_record_are_run(study):
    study.results.save("one", {"recipe": "new", "count": 0})
    study.results.save("two", {"recipe": "old", "count": 0})
    assert keys(study) == ["two", "three"]
    assert study.results.find("one") == {"recipe": "new", "count": 0}
    assert study.results.find("two") == {"recipe": "new", "count": 1}
    assert keys(study) == []


def test_trials_are_selected_by_a_part_of_their_name(study):
    assert keys(study, only="t") == ["two", "three"]
    assert keys(study, only="t", again=True) == ["two", "three"]
    assert study.results.find("one") is None


def test_each_record_is_written_before_the_next_trial_begins(study):
    running = study.run_missing(Source())
    next(running)
    assert list(json.loads(study.results.path.read_text())) == ["one"]


def test_a_trial_recorded_by_another_process_meanwhile_is_not_run(study):
    running = study.run_missing(Source())
    next(running)
    study.results.save("two", {"recipe": "new", "count": 9})
    assert next(running)[0].key == "three"


def test_the_command_runs_a_study(study, monkeypatch, capsys):
    monkeypatch.setitem(STUDIES, "example", study)
    assert main(["run", "example", "--only", "one"]) == 0
    assert capsys.readouterr().out == "one: 1\n"
    assert main(["table", "example"]) == 0
    assert capsys.readouterr().out == "a table\n"
    assert main(["list"]) == 0
    assert "an example" in capsys.readouterr().out


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_trials_with_names_of_their_own_and_a_table(name, capsys):
    trials = [trial.key for trial in STUDIES[name].trials()]
    assert trials
    assert len(set(trials)) == len(trials)
    assert main(["list", name]) == 0
    assert capsys.readouterr().out.splitlines() == trials
    rows = STUDIES[name].table().count("\n|") - 1
    assert rows >= (1 if STUDIES[name].results.path.exists() else 0)  # else it was not run yet


def test_a_folder_that_is_missing_is_an_error_with_its_fix(monkeypatch, capsys):
    monkeypatch.delenv("MEDZOO_DATA", raising=False)
    assert main(["run", "leakage", "--again"]) == 1
    assert "--data-root" in capsys.readouterr().err
