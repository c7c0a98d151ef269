"""Contests: who is next, when it is certain, and what is noisy."""

import numpy as np
import pytest
import scipy.stats

from benchmarks.timing.contest import (
    NARROW,
    Contest,
    Contestant,
    contest,
    difference,
    faster,
    quiet,
)
from tests.benchmarks.timing.fake import FakeMachine

RATIO = faster("medzoo", "peer")


@pytest.fixture
def machine():
    return FakeMachine()


def contestants(machine, seconds, calls=None):
    def run(name):
        (calls if calls is not None else []).append(name)
        machine.work(next(seconds[name]) if hasattr(seconds[name], "__next__") else seconds[name])

    return {name: Contestant(lambda name=name: run(name), items=10) for name in seconds}


def test_rounds_alternate_after_a_warm_up_until_it_is_certain(machine):
    calls = []
    found = contest(contestants(machine, {"medzoo": 1, "peer": 3}, calls), RATIO, machine.clock())
    assert calls == ["medzoo", "peer"] * 2 + ["peer", "medzoo", "medzoo", "peer"] * 3
    row = found.row(RATIO)
    assert row["achieved"] == pytest.approx(3)
    assert row["interval"] == pytest.approx((3, 3))
    assert not row["noisy"]
    assert row["timing"]["rounds"] == 7
    assert row["timing"]["processor_seconds"] == pytest.approx({"medzoo": 0.1, "peer": 0.3})
    assert found.rates == pytest.approx({"medzoo": 10, "peer": 10 / 3})


def test_some_disturbed_turns_change_nothing(machine):
    def sometimes():
        for number in range(100):
            machine.slowness = 4 if number in (2, 5) else 1
            yield 3
            machine.slowness = 1

    both = contestants(machine, {"medzoo": 1, "peer": sometimes()})
    row = contest(both, RATIO, machine.clock(), seconds=1000).row(RATIO)
    assert row["achieved"] == pytest.approx(3)
    assert not row["noisy"]


def test_what_slows_a_whole_round_changes_nothing(machine):
    """Other guests of a virtual machine, for some rounds; the clock rate, all the time."""
    runs = []

    def run(seconds):
        runs.append(seconds)
        machine.work(seconds * (1 + 0.8 * ((len(runs) - 3) // 2 % 3)))  # two a round, and a warm-up

    both = {
        "medzoo": Contestant(lambda: run(1)),
        "peer": Contestant(lambda: run(3)),
    }
    found = contest(both, RATIO, machine.clock(), seconds=1000)
    row = found.row(RATIO)
    assert row["timing"]["rounds"] == 7
    assert row["interval"] == pytest.approx((3, 3))
    assert len({turn.seconds for turn in found.turns["peer"]}) > 1


def test_a_contest_on_a_busy_machine_is_noisy(machine):
    machine.slowness = 3
    both = contestants(machine, {"medzoo": 1, "peer": 3})
    found = contest(both, RATIO, machine.clock(), seconds=100)
    assert found.enough
    assert found.busy
    assert found.row(RATIO)["noisy"]


def test_a_contest_without_enough_rounds_is_noisy(machine):
    found = contest(
        contestants(machine, {"medzoo": 1, "peer": 3}), RATIO, machine.clock(), seconds=5
    )
    assert not found.enough
    assert found.row(RATIO)["noisy"]


def test_more_turns_make_it_certain(machine):
    rng = np.random.default_rng(0)
    varied = (float(value) for value in rng.uniform(2, 4, 10_000))
    both = contestants(machine, {"medzoo": 1, "peer": varied})
    short = contest(both, RATIO, machine.clock(), seconds=1)
    assert short.row(RATIO)["noisy"]
    long = contest(both, RATIO, machine.clock(), seconds=10_000).row(RATIO)
    assert not long["noisy"]
    assert long["timing"]["rounds"] > 7
    low, high = long["interval"]
    assert low < long["achieved"] < high
    assert long["achieved"] == pytest.approx(3, rel=0.1)
    assert high - low <= NARROW * long["achieved"]


def test_the_interval_is_that_of_scipy_for_paired_samples(machine):
    rng = np.random.default_rng(1)
    seconds = {name: rng.gamma(20, scale, 30) for name, scale in (("medzoo", 1), ("peer", 2))}
    clock = machine.clock()
    turns = {
        name: [clock.time(lambda value=value: machine.work(value)) for value in values]
        for name, values in seconds.items()
    }
    found = Contest(turns, {"medzoo": 1, "peer": 1}, enough=True).estimate(RATIO)
    # With two contestants, it is the median of the logarithm of the ratio of each round.
    expected = scipy.stats.bootstrap(
        (np.log(seconds["peer"] / seconds["medzoo"]),),
        np.median,
        n_resamples=5000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert found.interval == pytest.approx((np.exp(expected.low), np.exp(expected.high)), rel=0.02)


def test_statistics():
    seconds = {"a": 2.0, "b": 6.0, "c": 4.0}
    assert faster("a", "b", "c")(seconds) == 2
    assert difference("b", "a")(seconds) == 4


def test_long_runs_are_repeated_until_they_are_quiet(machine):
    clock = machine.clock()
    results = iter("abc")

    def run():
        machine.slowness = 1
        machine.work(5)
        return next(results)

    machine.slowness = 2
    assert quiet(run, clock) == ("b", False)
    machine.slowness = 2
    assert quiet(run, clock, attempts=1) == ("c", True)
