"""Comparing the speed of several functions: short turns until the answer is certain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from benchmarks.timing.clock import Clock, Turn

NARROW = 0.1
"""Width of an interval, relative to its value, up to which the value is shown."""
RESAMPLES = 2000
_TURNS = 7  # of each contestant, undisturbed, at least
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
        noisy: Whether the interval is too wide, or too few turns were undisturbed.
    """

    achieved: float
    interval: tuple[float, float]
    noisy: bool


@dataclass(frozen=True)
class Contest:
    """The turns of all contestants.

    Attributes:
        turns: By contestant: the undisturbed turns, or all if these are too few.
        items: By contestant: images or calls per turn.
        disturbed: By contestant: how many turns were disturbed.
        enough: Whether each contestant has enough undisturbed turns.
    """

    turns: Mapping[str, list[Turn]]
    items: Mapping[str, float]
    disturbed: Mapping[str, int]
    enough: bool

    @property
    def seconds(self) -> dict[str, float]:
        """By contestant: the median of the seconds per item."""
        return {name: float(np.median(values)) for name, values in self._samples().items()}

    @property
    def rates(self) -> dict[str, float]:
        """By contestant: items per second."""
        return {name: 1 / value for name, value in self.seconds.items()}

    def estimate(self, statistic: Statistic, width: float | None = None) -> Estimate:
        """Resample the turns of each contestant.

        Args:
            statistic: What is to be known.
            width: Of an interval that is narrow enough; by default `NARROW` times the value.
        """
        rng = np.random.default_rng(_SEED)
        medians = {}
        for name, values in self._samples().items():
            rows = rng.integers(0, len(values), (RESAMPLES, len(values)))
            medians[name] = np.median(values[rows], axis=1)
        low, high = map(float, np.quantile(statistic(medians), (0.025, 0.975)))
        achieved = float(statistic(self.seconds))
        width = NARROW * abs(achieved) if width is None else width
        return Estimate(achieved, (low, high), not self.enough or high - low > width)

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
        timing = {
            "turns": {name: len(turns) for name, turns in self.turns.items()},
            "disturbed": dict(self.disturbed),
            "seconds": self.seconds,
            "processor_seconds": processor,
        }
        return {**vars(estimate), "timing": timing}

    def _samples(self) -> dict[str, np.ndarray]:
        return {
            name: np.array([turn.seconds for turn in turns]) / self.items[name]
            for name, turns in self.turns.items()
        }


def contest(
    contestants: Mapping[str, Contestant],
    statistic: Statistic,
    clock: Clock,
    *,
    seconds: float = 120,
    width: float | None = None,
) -> Contest:
    """Let contestants take turns until the interval of a statistic is narrow.

    The one with the fewest undisturbed turns is next: they alternate, and disturbed turns are
    repeated. Each runs once untimed first.

    Args:
        contestants: By name.
        statistic: What is to be known, from the seconds per item of each.
        clock: Times the turns.
        seconds: When to give up. The answer is then noisy.
        width: Of an interval that is narrow enough; by default `NARROW` times the value.
    """
    for contestant in contestants.values():
        contestant.run()
    start = clock.wall()
    turns: dict[str, list[Turn]] = {name: [] for name in contestants}
    while True:
        clean = {name: clock.undisturbed(own) for name, own in turns.items()}
        enough = min(map(len, clean.values())) >= _TURNS
        found = Contest(
            clean if enough else turns,
            {name: contestant.items for name, contestant in contestants.items()},
            {name: len(turns[name]) - len(clean[name]) for name in turns},
            enough,
        )
        done = enough and not found.estimate(statistic, width).noisy
        if done or (all(turns.values()) and clock.wall() - start > seconds):
            if not done:
                print("  still noisy when the time was over", file=sys.stderr, flush=True)
            return found
        # One that is always disturbed does not take the others' time.
        least = min(map(len, turns.values()))
        waiting = [name for name, own in turns.items() if len(own) <= 2 * least + 1]
        name = min(waiting, key=lambda name: (len(clean[name]), len(turns[name])))
        turns[name].append(clock.time(contestants[name].run))


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
    """Run something long until nothing else disturbs it; give up after some attempts.

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
        if clock.undisturbed([turn]):
            return results[-1], False
    return results[-1], True
