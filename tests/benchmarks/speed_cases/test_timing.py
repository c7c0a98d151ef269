"""Timing: contestants in turn, rates, and fresh processes."""

import pytest

from benchmarks.speed_cases.measurement import OURS
from benchmarks.speed_cases.timing import in_turn, per_second, ratio, run_python


def test_contestants_take_turns_after_a_warm_up():
    calls = []
    seconds = in_turn({name: lambda name=name: calls.append(name) for name in "ab"}, repeats=2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    rates = per_second(8, {OURS: 2.0, "peer": 4.0})
    assert (set(seconds), rates, ratio(rates, "peer")) == ({"a", "b"}, {OURS: 4, "peer": 2}, 2)


def test_a_failed_process_is_an_error_with_its_message():
    assert run_python("-c", "print(2)") == "2\n"
    with pytest.raises(RuntimeError, match="no such luck"):
        run_python("-c", "raise ValueError('no such luck')")
