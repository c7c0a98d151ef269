"""What limits a result: measured at the same time as the result."""

import re

import pytest

from benchmarks.speed_cases import latency, startup
from benchmarks.timing.clock import Turn
from benchmarks.timing.contest import Contest


def test_the_slowest_calls_are_compared_with_those_of_a_product_in_the_same_rounds():
    tails = {"simple_cnn.a": 2.5, "simple_cnn.b": 1.5, "efficientnet.a": 2.0}
    products = {"simple_cnn": 2.6, "efficientnet": 1.1}
    text = latency._limit_of_tails("simple_cnn.a", tails, products)
    assert "2 of 3 models keep it; simple_cnn.a has 2.5 times" in text
    assert "99th percentile of 2.6 times its median" in text
    assert "up to 2.6 times" in text


def test_a_slow_call_of_a_turn_changes_its_tail_and_not_its_median():
    turns = [Turn(1.0, 1.0, 0.1, 1.0), Turn(9.0, 1.0, 0.1, 1.0)]
    calls = [[2.0] * 100, [2.0] * 97 + [50.0] * 3]
    result = Contest({"a": turns}, {"a": latency.CALLS}, enough=True)
    assert latency._by_median(result, {"a": calls}).seconds["a"] == pytest.approx(0.002)
    assert latency._tail(calls[1:]) == pytest.approx(25)


def test_calls_are_timed_one_by_one():
    called = []
    assert len(latency.call_milliseconds(lambda: called.append(1), 7)) == len(called) == 7


def test_the_clock_for_a_call_is_inside_its_process(monkeypatch):
    monkeypatch.setattr(startup, "_REPEATS", 3)
    seconds = iter(["0.25", "0.125", "4"])
    monkeypatch.setattr(startup, "_run", lambda code: [compile(code, "", "exec"), next(seconds)][1])
    text = startup._call_alone()
    imports, call = (startup._TIMED.index(one) for one in (startup._READY, startup._CALL))
    assert imports < startup._TIMED.index("start = ") < call
    assert re.search(r"0\.25 s for the call .*0\.12 to 4 s", text)
