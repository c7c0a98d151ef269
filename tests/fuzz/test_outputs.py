"""Damaged reports are read or refused, and names are shown harmlessly."""

import functools

import pytest

from tests.fuzz.outputs import cases
from tests.fuzz.readers import outcome

all_cases = functools.cache(cases)


@pytest.mark.parametrize("kind", ["report", "name"])
def test_reports_and_names_are_read_or_refused(kind, tmp_path):
    found = [outcome(all_cases()[kind], tmp_path / "file", number) for number in range(150)]
    assert set(found) <= {"read", "refused"}
    assert "read" in found
