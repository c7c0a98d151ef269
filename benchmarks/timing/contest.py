"""Comparing the speed of several functions: short turns until the answer is certain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from benchmarks.timing.clock import Clock, Turn

NARROW = 0.15
"""Width of an interval, relative to its value, up to which the value is shown."""
RESAMPLES = 2000
ROUNDS = 7
"""How many there are at least."""
_SEED = 0

Statistic: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""From seconds per item by contestant (numbers, or arrays of them) to what is to be known."""


@dataclass(frozen=True)
class Contestant:
    """A function that takes part.

    Attributes:
        run: Called once per turn; a turn should take from half a second to some seconds.
        items: How many images or calls a turn is, so that turns may differ in length.
    """

    run: Callable[[], object]
    items: float = 1


@dataclass(frozen=True)
class Estimate:
    """What the turns say about a statistic.

    Attributes:
        achieved: The statistic of the medians.
        interval: Its 95 % bootstrap interval.
        noisy: Whether the interval is too wide, there were too few rounds, or the machine was busy.
    """

    achieved: float
    interval: tuple[float, float]
    noisy: bool


@dataclass(frozen=True)
class Contest:
    """Rounds, in each of which every contestant had one turn.

    The turns of a round follow each other, so that what changes slowly (the clock rate, other
    guests of a virtual machine) is the same for all of them. It is taken out before medians are
    taken: of what a round has in common, and of how each contestant differs from it.

    Attributes:
        turns: By contestant: its turn of each round.
        items: By contestant: images or calls per turn.
        enough: Whether there were enough rounds.
        busy: Whether other programs used the processor most of the time.
    """

    turns: Mapping[str, list[Turn]]
    items: Mapping[str, float]
    enough: bool
    busy: bool = False

    @property
    def seconds(self) -> dict[str, float]:
        """By contestant: the seconds per item."""
        everything = np.arange(len(self._logarithms))[None]
        return {name: float(value[0]) for name, value in self._typical(everything).items()}

    @property
    def rates(self) -> dict[str, float]:
        """By contestant: items per second."""
        return {name: 1 / value for name, value in self.seconds.items()}

    def estimate(self, statistic: Statistic, width: float | None = None) -> Estimate:
        """Resample the rounds.

        Args:
            statistic: What is to be known.
            width: Of an interval that is narrow enough; by default `NARROW` times the value.
        """
        count = len(self._logarithms)
        rounds = np.random.default_rng(_SEED).integers(0, count, (RESAMPLES, count))
        values = statistic(self._typical(rounds))
        low, high = map(float, np.quantile(values, (0.025, 0.975)))
        achieved = float(statistic(self.seconds))
        width = NARROW * abs(achieved) if width is None else width
        noisy = not self.enough or self.busy or high - low > width
        return Estimate(achieved, (low, high), noisy)

    def row(self, statistic: Statistic, width: float | None = None) -> dict[str, Any]:
        """Return the fields of a `Measurement` that say how certain it is.

        Args:
            statistic: What the row is about.
            width: As for `estimate`.
        """
        estimate = self.estimate(statistic, width)
        processor = {
            name: float(np.median([turn.processor for turn in turns])) / self.items[name]
            for name, turns in self.turns.items()
        }
        calibrations = [turn.calibration for turns in self.turns.values() for turn in turns]
        timing = {
            "rounds": len(self._logarithms),
            "busy": self.busy,
            "calibration": float(np.median(calibrations) / min(calibrations)),
            "seconds": self.seconds,
            "processor_seconds": processor,
        }
        return {**vars(estimate), "timing": timing}

    @cached_property
    def _logarithms(self) -> np.ndarray:
        """(rounds, contestants): of the seconds per item."""
        columns = [
            [turn.seconds / self.items[name] for turn in turns]
            for name, turns in self.turns.items()
        ]
        return np.log(np.array(columns).T)

    def _typical(self, rounds: np.ndarray) -> dict[str, np.ndarray]:
        """Return the seconds per item of each contestant, for each row of numbers of rounds."""
        level = self._logarithms.mean(axis=1)
        apart = self._logarithms - level[:, None]
        common = np.median(level[rounds], axis=1)
        return {
            name: np.exp(common + np.median(apart[rounds, column], axis=1))
            for column, name in enumerate(self.turns)
        }


def contest(
    contestants: Mapping[str, Contestant],
    statistic: Statistic,
    clock: Clock,
    *,
    seconds: float = 120,
    width: float | None = None,
) -> Contest:
    """Let contestants take turns, round by round, until the interval of a statistic is narrow.

    Each runs once untimed first. Every other round is in reverse order.

    Args:
        contestants: By name.
        statistic: What is to be known, from the seconds per item of each.
        clock: Times the turns.
        seconds: When to give up. The answer is then noisy.
        width: Of an interval that is narrow enough; by default `NARROW` times the value.
    """
    for contestant in contestants.values():
        contestant.run()
    items = {name: contestant.items for name, contestant in contestants.items()}
    start = clock.wall()
    turns: dict[str, list[Turn]] = {name: [] for name in contestants}
    while True:
        count = len(next(iter(turns.values())))
        for name in list(contestants)[:: -1 if count % 2 else 1]:
            turns[name].append(clock.time(contestants[name].run))
        enough = count + 1 >= ROUNDS
        busy = clock.is_busy([turn for own in turns.values() for turn in own])
        found = Contest(turns, items, enough, busy)
        done = enough and not found.estimate(statistic, width).noisy
        if done or clock.wall() - start > seconds:
            if not done:
                print("  still noisy when the time was over", file=sys.stderr, flush=True)
            return found


def faster(ours: str, *others: str) -> Statistic:
    """Return how many times faster one contestant is than the fastest of others.

    Args:
        ours: The contestant.
        *others: The others.
    """

    def ratio(seconds: Mapping[str, Any]) -> Any:
        return np.minimum.reduce([seconds[name] for name in others]) / seconds[ours]

    return ratio


def difference(ours: str, other: str) -> Statistic:
    """Return how many seconds longer one contestant takes than another.

    Args:
        ours: The contestant.
        other: The other.
    """
    return lambda seconds: seconds[ours] - seconds[other]


def quiet(run: Callable[[], Any], clock: Clock, attempts: int = 3) -> tuple[Any, bool]:
    """Run something long until no other program uses the processor; give up after some attempts.

    Args:
        run: The function.
        clock: Times it.
        attempts: How often it is run at most.

    Returns:
        Its last result, and whether that is noisy.
    """
    results: list[Any] = []
    for _ in range(attempts):
        turn = clock.time(lambda: results.append(run()))
        if not clock.is_busy([turn]):
            return results[-1], False
    return results[-1], True
