"""Some of the answers of `tests.fuzz.hub_answers`; that command tries many more."""

import functools

import pytest

from tests.fuzz.hub_answers import cases
from tests.fuzz.readers import outcome

pytestmark = pytest.mark.filterwarnings("ignore")
all_cases = functools.cache(cases)


@pytest.mark.parametrize("kind", ["hub file", "hub info"])
def test_any_answer_is_taken_or_refused(kind, tmp_path):
    found = [outcome(all_cases()[kind], tmp_path / "file", number) for number in range(25)]
    assert set(found) == {"read", "refused"}


def test_the_same_number_gives_the_same_answer():
    for case in all_cases().values():
        assert [case.make(number) for number in range(9)] == [case.make(n) for n in range(9)]
