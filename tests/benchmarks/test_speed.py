"""The command `benchmarks/speed.py`."""

import json
import sys

import pytest

from tests.benchmarks.speed_cases.rows import row

pytest.importorskip("onnxruntime", reason="needs medzoo[bench]")

from benchmarks import speed
from benchmarks.speed_cases import record


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command, of which two tasks are made up; it writes into a file of its own."""
    monkeypatch.setattr(speed.medzoo, "load_dataset", lambda *_, **__: None)
    here = {"processor": "Zen", "instructions": "AVX2", "cores": 2, "date": "2026-01-02"}
    monkeypatch.setattr(speed, "machine", lambda _: here | {"peak_gflops": 1.0, "versions": {}})
    cases = {"loading": lambda _: 1 / 0, "training": lambda _: [row(work="made up")]}
    monkeypatch.setattr(speed, "CASES", cases)
    results = tmp_path / "speed.json"

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["speed.py", "--results", str(results), *options])
        return speed.main(), results

    return run


def test_a_task_that_fails_does_not_keep_others_from_being_measured(command, capsys):
    code, results = command("--only", "loading", "training")
    assert code == 1
    (machine,) = json.loads(results.read_text())["machines"]
    assert list(machine["works"]) == ["training"]
    printed = capsys.readouterr()
    assert "made up" in printed.out
    assert "ZeroDivisionError" in printed.err
    assert printed.err.endswith("failed: loading\n")


def test_what_was_measured_elsewhere_is_added(command, tmp_path, monkeypatch, capsys):
    _, results = command("--only", "training")
    monkeypatch.setattr(record, "SPEED", tmp_path / "all.json")
    code, _ = command("--merge", str(results))
    assert code == 0
    assert "added: Zen" in capsys.readouterr().out
    assert json.loads((tmp_path / "all.json").read_text()) == json.loads(results.read_text())


def test_what_is_there_is_not_measured_again(command):
    command("--only", "training")
    code, _ = command("--resume", "--only", "training")
    assert code == 0
    assert command("--resume", "--only", "training", "loading")[0] == 1


def test_a_quick_run_writes_nothing(command):
    code, results = command("--quick", "--only", "training")
    assert code == 0
    assert not results.exists()
