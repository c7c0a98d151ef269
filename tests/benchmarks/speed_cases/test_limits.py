"""What limits a result: measured at the same time as the result."""

import re

from benchmarks.speed_cases import latency, startup


def test_the_slowest_calls_are_compared_with_those_of_plain_arithmetic(monkeypatch):
    monkeypatch.setattr(latency, "_SIDE", 16)
    monkeypatch.setattr(latency, "_TURNS", 2)
    calls = iter([[1.0] * 98 + [3.0] * 2, [2.0] * 98 + [10.0] * 2])
    monkeypatch.setattr(latency, "_milliseconds", lambda call: [call(), next(calls)][1])
    text = latency._tail_of_arithmetic()
    assert "takes 2.0 ms" in text
    assert "99th percentile of 4 times its median" in text  # of 3 and 5
    assert "of 2 turns 5 times" in text


def test_calls_are_timed_one_by_one():
    called = []
    assert len(latency._milliseconds(lambda: called.append(1), 7)) == len(called) == 7


def test_the_clock_for_a_call_is_inside_its_process(monkeypatch):
    monkeypatch.setattr(startup, "_REPEATS", 3)
    seconds = iter(["0.25", "0.125", "4"])
    monkeypatch.setattr(startup, "_run", lambda code: [compile(code, "", "exec"), next(seconds)][1])
    text = startup._call_alone()
    assert re.search(r"0\.25 s for the call .*0\.12 to 4 s", text)
