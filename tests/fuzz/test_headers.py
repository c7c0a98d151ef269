"""Damaged headers and metadata of every kind: each is read or refused, and nothing else happens.

``tests/fuzz/fuzz_headers.py`` does the same with many more.
"""

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.headers import HEADER, archive, damaged_archive, damaged_json, npy_header
from tests.fuzz.readers import cases, outcome

# What numpy and timm say of damage to people is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore")
all_cases = functools.cache(cases)


@pytest.mark.parametrize("kind", [".npz", "recipe", "description", "index", "timm"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(0, 10**6))
def test_damaged_headers_are_read_or_refused(kind, number, tmp_path):
    assert outcome(all_cases()[kind], tmp_path / "file", number) in ("read", "refused")


def test_undamaged_files_are_read(tmp_path):
    (tmp_path / "whole.npz").write_bytes(archive())
    assert all_cases()[".npz"].read(tmp_path / "whole.npz").size == 8
    (tmp_path / "same.npz").write_bytes(archive(npy_header(HEADER)))
    assert all_cases()[".npz"].read(tmp_path / "same.npz").size == 8
    assert set(all_cases()) == {".npz", "recipe", "description", "index", "timm"}


def test_the_same_number_gives_the_same_damage():
    values = {"a": {"b": [1, 2, {}]}}
    assert [damaged_archive(i) for i in range(9)] == [damaged_archive(i) for i in range(9)]
    assert [damaged_json(i, values) for i in range(99)] == [
        damaged_json(i, values) for i in range(99)
    ]
