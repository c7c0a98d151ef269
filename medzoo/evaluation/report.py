"""What `evaluate` returns: the scores, their intervals, and what they were measured on."""

from __future__ import annotations

import math
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from medzoo.datasets import Task
from medzoo.evaluation.metrics import ClassScores, Metrics, is_multi_label
from medzoo.inference.tta import TTA

_LABELS = {
    "auc": "AUC",
    "acc": "ACC",
    "exact_match": "exact match",
    "macro_f1": "macro F1",
    "balanced_acc": "balanced ACC",
    "ece": "ECE",
}
"""The overall scores in the order in which they are reported."""


@dataclass(frozen=True)
class Report(Metrics):
    """The scores of one model on one split, with everything needed to quote them.

    Attributes:
        dataset: Name of the data set, e.g. ``"dermamnist"``.
        title: Name to print, which says when the data are not the official ones, e.g.
            ``"DermaMNIST (rebuilt)"``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        task: MedMNIST's name of the task.
        n: Number of images.
        provenance: Where the images came from (`Provenance.to_dict`).
        intervals: 95 % percentile bootstrap interval ``(low, high)`` of each overall score;
            empty when `resamples` is 0.
        resamples: Number of bootstrap resamples of the images.
        seed: Seed of the resampling.
        tta: Test-time augmentation: ``"none"``, ``"flip"`` or ``"dihedral"``.
        temperature: What logits were divided by to become probabilities.

    The scores themselves are those of `Metrics`.
    """

    dataset: str
    title: str
    split: str
    task: Task
    n: int
    provenance: dict[str, Any]
    intervals: dict[str, tuple[float, float]]
    resamples: int
    seed: int
    tta: TTA = "none"
    temperature: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values; NaN becomes None."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Report:
        """Rebuild a report from `to_dict`, also after a trip through JSON.

        Args:
            values: What `to_dict` returned, also by a version that had not all of the fields.

        Returns:
            The report; fields that the version had not have their defaults.

        Raises:
            ValueError: If a field is missing or unknown, or has another structure.
        """
        try:
            return cls._restored(values)
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(
                f"not a report ({type(error).__name__}: {error}); "
                "give what Report.to_dict() returned"
            ) from error

    @classmethod
    def _restored(cls, values: dict[str, Any]) -> Report:
        known = {field.name for field in fields(cls)}
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if not needed <= values.keys() <= known:
            raise ValueError(
                f"not a report: missing {sorted(needed - values.keys())}, "
                f"unknown {sorted(values.keys() - known)}; give what Report.to_dict() returned"
            )
        restored = dict(values)
        for name in (*_LABELS, "majority"):
            restored[name] = _number(values[name])
        restored["intervals"] = {
            name: (_number(low), _number(high)) for name, (low, high) in values["intervals"].items()
        }
        restored["per_class"] = [
            ClassScores(
                name=row["name"],
                precision=_number(row["precision"]),
                recall=_number(row["recall"]),
                f1=_number(row["f1"]),
                auc=_number(row["auc"]),
                support=row["support"],
            )
            for row in values["per_class"]
        ]
        return cls(**restored)

    @property
    def _unknown(self) -> int:
        """Number of unknown labels, which no confusion matrix counts."""
        if not is_multi_label(self.task):
            return 0
        known = sum(sum(map(sum, matrix)) for matrix in self.confusion)
        return self.n * len(self.per_class) - known

    def __str__(self) -> str:
        """A table of the overall scores with their intervals, and one of the classes."""
        multi_label = is_multi_label(self.task)
        unit = "labels" if multi_label else "classes"
        lines = [
            f"{self.title}, {self.split} split: {self.n:,} images, "
            f"{len(self.per_class)} {unit} ({self.task})",
            "",
        ]
        for name, label in _LABELS.items():
            if name == "exact_match" and not multi_label:
                continue  # it is the ACC once more
            line = f"  {label:<13}{_digits(getattr(self, name))}"
            if name in self.intervals:
                low, high = self.intervals[name]
                line += f"  [{_digits(low)}, {_digits(high)}]"
            lines.append(line)
        lines.append("")
        measure = "exact match" if multi_label else "ACC"
        lines.append(f"Always giving the most frequent answer: {measure} {_digits(self.majority)}.")
        if multi_label:
            lines.append("ACC is the mean over labels of the share of right decisions at 0.5.")
        if unknown := self._unknown:
            share = unknown / (self.n * len(self.per_class))
            lines.append(
                f"{unknown:,} labels ({share:.1%}) are unknown and left out; exact match is that "
                "of images of which every label is known."
            )
        if self.tta != "none":
            lines.append(f"Probabilities are means over the views of each image ({self.tta}).")
        if self.temperature != 1.0:
            lines.append(f"Logits were divided by the temperature {self.temperature:.3g}.")
        if self.intervals:
            lines.append(
                f"In brackets: 95 % bootstrap intervals, {self.resamples:,} resamples of the "
                f"images, seed {self.seed}."
            )
        width = max(len("label"), *(len(row["name"]) for row in self.per_class))
        heading = "label" if multi_label else "class"
        lines += ["", f"  {heading:<{width}}  precision  recall     F1    AUC  support"]
        lines += [
            f"  {row['name']:<{width}}  {_digits(row['precision']):>9}  {_digits(row['recall']):>6}"
            f"  {_digits(row['f1']):>5}  {_digits(row['auc']):>5}  {row['support']:>7,}"
            for row in self.per_class
        ]
        if any(math.isnan(row["auc"]) for row in self.per_class):
            lines += ["", f"-: not defined for this split; left out of the means over {unit}."]
        return "\n".join(lines)


def _digits(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _without_nan(value: Any) -> Any:
    """Copy of nested plain values with None for NaN, and lists for tuples, as in JSON."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
