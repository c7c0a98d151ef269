"""Some attempts of every kind: each is read or refused, and nothing else happens.

``python -m tests.fuzz --minutes 60`` does the same with many more.
"""

import functools
import os
import sys

import pytest

from tests.fuzz import __main__ as command
from tests.fuzz import attempts, image_files, kills, readers, request_bodies, texts
from tests.fuzz.headers import HEADER, archive, damaged_archive, damaged_json, npy_header
from tests.fuzz.readers import outcome

# What numpy and timm say of damage to people is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore")
all_cases = functools.cache(readers.cases)


MODULES = [image_files, kills, readers, request_bodies, texts]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_attempt_is_read_or_refused(module, tmp_path):
    for kind, case in module.cases().items():
        for number in range(case.in_suite):
            assert outcome(case, tmp_path / "file", number) in ("read", "refused"), (kind, number)


@pytest.mark.parametrize(("first", "status"), [(0, 0), (3, 1), (5, 1)])
def test_the_command_repeats_an_attempt(first, status, monkeypatch, capsys):
    """In this process, with a kind that crashes at 3 and has another error at 5."""

    def planted(module, kind, number):
        yield number, {3: "crashed", 5: "KeyError: 5"}.get(number, "read"), 0.5, 7.0

    monkeypatch.setattr(command, "attempts", planted)
    arguments = ["fuzz", "--kind", "recipe", "--first", str(first), "--attempts", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == status
    shown = capsys.readouterr()
    assert f"1 attempts: {1 - status} read, 0 refused, {status} faults; at most 0.5 s" in shown.out
    assert (f"fault: --kind 'recipe' --first {first}: " in shown.err) == bool(status)


def _crash(connection, module, kind, number):
    connection.send((number, "read", 0.1, 1.0))
    os._exit(1)


@pytest.mark.slow
def test_a_crash_is_a_fault_and_the_next_attempt_follows(monkeypatch):
    monkeypatch.setattr(attempts, "work", _crash)
    found = attempts.attempts("none", "any", 7)
    assert [next(found)[:2] for _ in range(3)] == [(7, "read"), (8, "crashed"), (9, "read")]
    found.close()


def test_undamaged_files_are_read(tmp_path):
    (tmp_path / "whole.npz").write_bytes(archive())
    assert all_cases()[".npz"].read(tmp_path / "whole.npz").size == 8
    (tmp_path / "same.npz").write_bytes(archive(npy_header(HEADER)))
    assert all_cases()[".npz"].read(tmp_path / "same.npz").size == 8
    assert set(all_cases()) == {".npz", "checkpoint", "recipe", "description", "index", "timm"}


def test_the_same_number_gives_the_same_damage():
    values = {"a": {"b": [1, 2, {}]}}
    assert [damaged_archive(i) for i in range(9)] == [damaged_archive(i) for i in range(9)]
    assert [damaged_json(i, values) for i in range(99)] == [
        damaged_json(i, values) for i in range(99)
    ]
