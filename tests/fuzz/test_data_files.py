"""Damaged data files of every kind: each is read or refused, and nothing else happens."""

import functools

import pytest

from tests.fuzz.data_files import cases
from tests.fuzz.readers import outcome

pytestmark = pytest.mark.filterwarnings("ignore")
all_cases = functools.cache(cases)


@pytest.mark.parametrize("kind", ["archive", "mapped archive", "arrays", "table", "split"])
def test_damaged_data_files_are_read_or_refused(kind, tmp_path):
    found = [outcome(all_cases()[kind], tmp_path / "file", number) for number in range(40)]
    assert set(found) <= {"read", "refused"}
    assert "refused" in found
