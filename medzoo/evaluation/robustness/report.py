"""What `evaluate_robustness` returns."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from medzoo.escape import for_display
from medzoo.evaluation.intervals import Interval
from medzoo.evaluation.report_text import digits
from medzoo.images.corruptions import Family

LABELS = {
    "clean": "as they are",
    "error": "damaged",
    "increase": "increase",
    "be": "BE",
    "rbe": "rBE",
}
"""The overall scores in the order in which they are reported."""


class CorruptionErrors(TypedDict):
    """Balanced errors of one corruption.

    Attributes:
        name: Name of the corruption.
        family: Its family.
        errors: Balanced error at each of the five severities, in [0, 1].
        error: Their mean.
        interval: 95 % bootstrap interval of the mean; NaN without resamples.
        be: The mean relative to AlexNet's; NaN for other data than MedMNIST's.
        rbe: Its increase by the damage, relative to AlexNet's; NaN for other data than MedMNIST's.
    """

    name: str
    family: Family
    errors: list[float]
    error: float
    interval: Interval
    be: float
    rbe: float


@dataclass(frozen=True)
class RobustnessReport:
    """Balanced errors (1 minus balanced accuracy) of a model on damaged images.

    Attributes:
        dataset: Name of the data set.
        title: Name to print, which says when the data are not the official ones.
        split: ``"train"``, ``"val"`` or ``"test"``.
        n: Number of images.
        size: Their height and width in pixels.
        like: MedMNIST's data set whose corruptions the images were damaged with.
        threshold: As in `Report`.
        clean: Balanced error on the images as they are.
        error: Balanced error on damaged images, the mean over corruptions and severities.
        increase: `error` minus `clean`.
        be: Mean over corruptions of the error relative to that of AlexNet on images of 224 pixels,
            as MedMNIST-C defines it; NaN for other data than MedMNIST's.
        rbe: Mean over corruptions of the increase relative to that of AlexNet; as `be`.
        intervals: 95 % percentile bootstrap interval of each of these scores; the same images are
            drawn for all corruptions. Empty when `resamples` is 0.
        corruptions: The errors of each corruption.
        resamples: Number of bootstrap resamples of the images.
        seed: Seed of the damage and of the resampling.
    """

    dataset: str
    title: str
    split: str
    n: int
    size: int
    like: str
    threshold: float | list[float] | None
    clean: float
    error: float
    increase: float
    be: float
    rbe: float
    intervals: dict[str, Interval]
    corruptions: list[CorruptionErrors]
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values; NaN becomes None."""
        values = asdict(self)
        for name in LABELS:
            values[name] = _plain(values[name])
        values["intervals"] = {key: _bounds(pair) for key, pair in values["intervals"].items()}
        for row in values["corruptions"]:
            row["errors"] = list(map(_plain, row["errors"]))
            row["interval"] = _bounds(row["interval"])
            row.update({name: _plain(row[name]) for name in ("error", "be", "rbe")})
        return values

    def __str__(self) -> str:
        """A table of the overall scores, and one of the corruptions."""
        lines = [
            f"{for_display(self.title)}, {self.split} split: {self.n:,} images of {self.size} "
            f"pixels, damaged like {self.like} in MedMNIST-C",
            "",
            "  Balanced error (1 - balanced accuracy):",
        ]
        for name, label in LABELS.items():
            value = getattr(self, name)
            if math.isnan(value):
                continue
            line = f"  {label:<12} {digits(value)}"
            if name in self.intervals:
                low, high = self.intervals[name]
                line += f"  [{digits(low)}, {digits(high)}]"
            lines.append(line)
        width = max(len(row["name"]) for row in self.corruptions)
        lines += [
            "",
            f"  {'corruption':<{width}}  {'family':<13}  {'severity 1':>10}  "
            f"{'2':>5}  {'3':>5}  {'4':>5}  {'5':>5}   mean     BE",
        ]
        for row in self.corruptions:
            first, *others = map(digits, row["errors"])
            cells = "  ".join([f"{first:>10}", *others, digits(row["error"]), digits(row["be"])])
            lines.append(f"  {row['name']:<{width}}  {row['family']:<13}  {cells}".rstrip())
        if not math.isnan(self.be):
            lines += [
                "",
                "BE: error divided by AlexNet's at 224 pixels; rBE: the same for the increase by "
                "the damage.",
            ]
        if self.intervals:
            lines += [
                "",
                f"In brackets: 95 % bootstrap intervals, {self.resamples:,} resamples of the "
                f"images, seed {self.seed}.",
            ]
        return "\n".join(lines)


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _bounds(pair: Interval) -> list[float | None]:
    return [_plain(value) for value in pair]
