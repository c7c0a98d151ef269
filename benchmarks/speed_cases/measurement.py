"""What a speed task is given, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import medzoo

OURS = "medzoo"
DATASET = "dermamnist"


@dataclass(frozen=True)
class Setting:
    """How to measure.

    Attributes:
        folder: Folder of the DermaMNIST file, for medzoo and medmnist.
        quick: Fewer rounds and smaller tasks: about two minutes, with less certain figures.
    """

    folder: Path
    quick: bool = False

    @cached_property
    def data(self) -> medzoo.Dataset:
        """DermaMNIST at 28 x 28."""
        return medzoo.load_dataset(DATASET, root=self.folder)

    @property
    def repeats(self) -> int:
        """Number of timed rounds per contestant."""
        return 2 if self.quick else 5

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
        limit: What limits the result; shown if the target was missed.
        details: Further values to store.
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

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None if there is no target."""
        if self.target is None:
            return None
        if self.direction == "least":
            return self.achieved >= self.target
        return self.achieved <= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values, including `met` for readers of the file."""
        return asdict(self) | {"met": self.met}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measurement:
        """Rebuild from the values of `to_dict`."""
        return cls(**{key: value for key, value in values.items() if key != "met"})
