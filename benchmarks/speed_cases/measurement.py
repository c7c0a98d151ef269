"""What a speed task is given, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

import medzoo
from benchmarks.timing.clock import Clock
from benchmarks.timing.contest import ROUNDS
from benchmarks.timing.machine import CPU

OURS = "medzoo"
DATASET = "dermamnist"


@dataclass(frozen=True)
class Setting:
    """How to measure.

    Attributes:
        folder: Folder of the DermaMNIST file, for medzoo and medmnist.
        quick: Less time and smaller tasks, with less certain figures.
        device: Where is computed.
        temporary: Folder in which large files are written, and deleted; None for the system's.
        peer_python: Python of an environment with fastai; None if there is none.
    """

    folder: Path
    quick: bool = False
    device: torch.device = CPU
    temporary: Path | None = None
    peer_python: str | None = None

    @cached_property
    def clock(self) -> Clock:
        """Times all turns."""
        return Clock(self.device)

    @property
    def seconds(self) -> float:
        """How long a contest may take."""
        return 20 if self.on_gpu or self.quick else 120

    @property
    def on_gpu(self) -> bool:
        """Whether it is measured on a GPU, where everything is many times faster."""
        return self.device.type == "cuda"

    @cached_property
    def data(self) -> medzoo.Dataset:
        """DermaMNIST at 28 x 28."""
        return medzoo.load_dataset(DATASET, root=self.folder)

    def small(self, count: int) -> medzoo.Dataset:
        """Return the data set with few images.

        Args:
            count: Number of training images; there are 128 validation images.
        """
        data = self.data
        train, val = data.train.head(count), data.val.head(128)
        return medzoo.Dataset(data.info, train, val, data.test, data.provenance)


@dataclass(frozen=True)
class Measurement:
    """One row of the speed table.

    Attributes:
        work: The task that was measured.
        unit: Unit of all values, e.g. ``"images/s"``.
        values: Contestant -> median; medzoo comes first.
        achieved: The quantity that the target bounds: a ratio, a time, a share.
        kind: Unit of `achieved`: ``"x"`` (a ratio), ``"s"``, ``"ms"``, ``"GB"``, ``"%"``, ``""``.
        target: The bound on `achieved`, or None if there is no target.
        direction: Whether the target is a lower (``"least"``) or upper (``"most"``) bound.
        note: What was compared with what.
        limit: What limits the result; shown if the target was missed, or may be.
        details: Further values to store.
        interval: The 95 % interval of `achieved`; None if it was measured once.
        noisy: Whether something else on the machine kept it from being measured, or its interval
            is wide.
        timing: Number of rounds, whether other programs used the processor, the median calibration
            over the fastest, and seconds and processor seconds per item of each contestant.
    """

    work: str
    unit: str
    values: dict[str, float]
    achieved: float
    kind: str = "x"
    target: float | None = None
    direction: Literal["least", "most"] = "least"
    note: str = ""
    limit: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    noisy: bool = False
    timing: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None if there is no target, or that is not certain.

        A wide interval is certain if all of it is on one side of the target.
        """
        if self.target is None or (self.noisy and not self._has_interval):
            return None
        values = {self.achieved, *(self.interval or ())}
        verdicts = {
            value >= self.target if self.direction == "least" else value <= self.target
            for value in values
        }
        return verdicts.pop() if len(verdicts) == 1 else None

    @property
    def _has_interval(self) -> bool:
        """Whether it is noisy for no other reason than that its interval is wide."""
        rounds, busy = self.timing.get("rounds", 0), self.timing.get("busy", True)
        return self.interval is not None and rounds >= ROUNDS and not busy

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values, including `met` for readers of the file."""
        return asdict(self) | {"met": self.met}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measurement:
        """Rebuild from the values of `to_dict`."""
        fields = {key: value for key, value in values.items() if key != "met"}
        if fields.get("interval"):
            fields["interval"] = tuple(fields["interval"])
        return cls(**fields)
