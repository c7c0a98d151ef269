"""Timing one turn, and noticing what else runs on the machine meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.timing.machine import CPU, wait

_SLOWED = 1.5  # times the fastest calibration of a GPU
_GETS = 0.8  # the least share of its threads' time that a calibration runs
_SETTLES = 0.1  # seconds after which no thread pool of a contestant waits for work in a loop


@dataclass(frozen=True)
class Turn:
    """One timed run.

    Attributes:
        seconds: How long it took.
        processor: Processor seconds of this process and its children in this time.
        calibration: Seconds of the slower one of the calibrations before and after it.
        share: Processor seconds of a calibration per thread and second; the smaller one.
    """

    seconds: float
    processor: float
    calibration: float
    share: float


class Clock:
    """Times turns between two calibrations: matrix products, which always take the same time.

    Args:
        device: Where the products are computed.
        wall: Returns the time in seconds.
        processor: Returns the processor seconds of this process.
        children: Returns the processor seconds of its children.
        calibrate: Does the same work whenever it is called; by default a matrix product.
        threads: Threads that the calibration uses; 0 if it does not use the processor.
        rest: Waits before a calibration until the contestants' threads have come to rest.
    """

    def __init__(
        self,
        device: torch.device = CPU,
        *,
        wall: Callable[[], float] = time.perf_counter,
        processor: Callable[[], float] = time.process_time,
        children: Callable[[], float] | None = None,
        calibrate: Callable[[], object] | None = None,
        threads: int | None = None,
        rest: Callable[[], object] | None = None,
    ) -> None:
        self.device = device
        # A GPU's contestants leave no threads behind that keep the GPU busy.
        self.rest = rest or partial(time.sleep, _SETTLES if device.type == "cpu" else 0)
        self.wall, self.processor = wall, processor
        self.children = children or _children_seconds
        self.calibrate = calibrate or _product(device)
        own = torch.get_num_threads() if device.type == "cpu" else 0
        self.threads = own if threads is None else threads

    def time(self, run: Callable[[], object]) -> Turn:
        """Run a function between two calibrations.

        Args:
            run: The function.
        """
        before, share_before = self._calibration()
        children, own = self.children(), self.processor()  # looking for children takes a while
        start = self.wall()
        run()
        wait(self.device)
        seconds = self.wall() - start
        used = self.processor() - own + self.children() - children
        after, share_after = self._calibration()
        return Turn(seconds, used, max(before, after), min(share_before, share_after))

    def is_busy(self, turns: Sequence[Turn]) -> bool:
        """Return whether other programs used the processor during most of some turns.

        Single turns may be disturbed, and the clock rate of a virtual machine changes all the time:
        that only makes their median less certain. Nothing says who uses a GPU, so there it is the
        calibrations that take longer than the fastest of them.

        Args:
            turns: The turns.
        """
        if self.threads:
            return statistics.median(turn.share for turn in turns) < _GETS
        calibrations = [turn.calibration for turn in turns]
        return statistics.median(calibrations) > _SLOWED * min(calibrations)

    def _calibration(self) -> tuple[float, float]:
        """Return the seconds of a calibration, and which share of them its threads ran."""
        wait(self.device)
        self.rest()
        start, used = self.wall(), self.processor()
        self.calibrate()
        wait(self.device)
        seconds, used = self.wall() - start, self.processor() - used
        return seconds, used / (seconds * self.threads) if self.threads else 1.0


def _product(device: torch.device) -> Callable[[], object]:
    """Return a function that takes some hundredths of a second, all of them arithmetic."""
    size, count = (1024, 4) if device.type == "cpu" else (8192, 1)
    a, b = torch.randn(2, size, size, device=device)
    out = torch.empty_like(a)

    def run() -> None:
        for _ in range(count):
            torch.mm(a, b, out=out)

    run()  # the first product also starts threads
    return run


def _children_seconds() -> float:
    """Return the processor seconds of all children, running or ended."""
    import psutil

    own = psutil.Process()
    times = own.cpu_times()
    total = times.children_user + times.children_system  # of those that have ended
    for child in own.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return float(total)
