"""A machine whose time passes only when work is done, so that tests take none."""

import torch

from benchmarks.timing.clock import Clock


class FakeMachine:
    """One thread; `slowness` is what other programs do to it at the moment."""

    def __init__(self):
        self.now = self.used = 0.0
        self.slowness = 1.0

    def work(self, seconds):
        """Take processor time, and more of it than that passes if something else runs."""
        self.used += seconds
        self.now += seconds * self.slowness

    def clock(self, **changes):
        values = {
            "wall": lambda: self.now,
            "processor": lambda: self.used,
            "children": lambda: 0.0,
            "calibrate": lambda: self.work(0.01),
            "threads": 1,
            "rest": lambda: None,
        }
        return Clock(torch.device("cpu"), **values | changes)
