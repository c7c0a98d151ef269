"""Turns, and how contention is noticed; with a clock of its own."""

import subprocess
import sys

import pytest

from benchmarks.timing.clock import Clock, _children_seconds
from tests.benchmarks.timing.fake import FakeMachine


@pytest.fixture
def machine():
    return FakeMachine()


def test_a_turn_has_wall_and_processor_time(machine):
    turn = machine.clock().time(lambda: machine.work(2))
    assert (turn.seconds, turn.processor) == (pytest.approx(2), pytest.approx(2))
    assert (turn.calibration, turn.share) == (pytest.approx(0.01), pytest.approx(1))


def test_processor_time_of_children_counts(machine):
    children = iter([1.0, 4.0])
    clock = machine.clock(children=lambda: next(children))
    assert clock.time(lambda: machine.work(2)).processor == pytest.approx(5)


def test_calibrations_find_what_begins_or_ends_during_a_turn(machine):
    clock = machine.clock()

    def disturbed():
        machine.work(1)
        machine.slowness = 1.5

    assert not clock.is_busy([clock.time(lambda: machine.work(1))])
    assert clock.is_busy([clock.time(disturbed)])


def test_a_machine_that_was_busy_from_the_beginning_is_found(machine):
    machine.slowness = 2  # so that no calibration was ever faster
    clock = machine.clock()
    turn = clock.time(lambda: machine.work(1))
    assert turn.share == pytest.approx(0.5)
    assert clock.is_busy([turn])


def test_a_turn_that_sleeps_by_nature_is_not_disturbed(machine):
    def sleeps():
        machine.work(1)
        machine.now += 3

    clock = machine.clock()
    assert not clock.is_busy([clock.time(sleeps)])


def test_a_slower_processor_is_all_ours(machine):
    """Heat slows calibrations down in processor time, too."""
    cost = 0.01
    clock = machine.clock(calibrate=lambda: machine.work(cost))
    turns = [clock.time(lambda: machine.work(1))]
    cost = 0.016
    turns.append(clock.time(lambda: machine.work(1.6)))
    assert not clock.is_busy(turns)
    gpu = machine.clock(threads=0)  # of which only the calibrations tell
    assert gpu.is_busy([*turns, turns[1]])
    assert not gpu.is_busy(turns[:1])


def test_a_machine_is_busy_if_others_take_most_of_its_time(machine):
    clock = machine.clock()
    turns = []
    for slowness in (1, 1, 2, 2, 2):
        machine.slowness = slowness
        turns.append(clock.time(lambda: machine.work(1)))
    assert clock.is_busy(turns)
    assert not clock.is_busy(turns[:3])


def test_threads_that_still_wait_for_work_are_given_time_to_rest(machine):
    """Runtimes' threads keep a processor busy for a while after their last call."""

    def run():
        machine.work(1)
        machine.slowness = 2

    def rest():
        machine.slowness = 1

    for clock, is_busy in ((machine.clock(), True), (machine.clock(rest=rest), False)):
        rest()
        assert clock.is_busy([clock.time(run) for _ in range(3)]) is is_busy


def test_the_real_clock_counts_work_and_children():
    clock = Clock()
    turn = clock.time(lambda: sum(range(300_000)))
    assert turn.processor > 0
    assert turn.calibration > 0
    assert turn.share > 0
    before = _children_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert _children_seconds() > before
