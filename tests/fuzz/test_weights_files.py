"""Damaged weights files: those with a wrong digest are refused, all others are read or refused."""

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.readers import outcome
from tests.fuzz.weights_files import cases

all_cases = functools.cache(cases)


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [
        ("weights header", ("read", "refused")),
        ("weights bytes", ("refused",)),
        ("weights tensors", ("read", "refused")),
    ],
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(0, 10**6))
def test_damaged_weights_files(kind, outcomes, number, tmp_path):
    assert outcome(all_cases()[kind], tmp_path / "file", number) in outcomes
