"""What `evaluate` returns: the scores, their intervals, and what they were measured on."""

from __future__ import annotations

import math
import os
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medzoo.datasets import Split, Task
from medzoo.evaluation.coverage import SetCoverage, SetScores
from medzoo.evaluation.groups import GroupScores, largest_gap, worst_group
from medzoo.evaluation.metrics import ClassScores, Metrics, ScoredPredictions
from medzoo.evaluation.report_text import SCORE_LABELS, report_text
from medzoo.evaluation.report_values import check_report_values
from medzoo.files import write_atomically
from medzoo.inference.tta import TTA

if TYPE_CHECKING:
    from medzoo.evaluation.html_report import Explainer
    from medzoo.evaluation.robustness import RobustnessReport


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
        auc_intervals: The same for the AUC of each class, in the order of the classes.
        resamples: Number of bootstrap resamples of the images.
        seed: Seed of the resampling.
        tta: Test-time augmentation: ``"none"``, ``"flip"`` or ``"dihedral"``.
        temperature: What logits were divided by to become probabilities.
        class_intervals: Intervals of the other scores of each class, by the name of the score, in
            the order of the classes: ``class_intervals["recall"][1]`` is that of the sensitivity
            for the second class.
        threshold: Probability above which the second class of a binary task was decided for, or a
            label (one number, or one per label); None for 0.5, or the most probable class.
        groups: The scores of each group of images, by name; empty if none were given.
        prediction_sets: How often prediction sets contain the truth, and how large they are; None
            if the model gives none.
        model: What was measured: ``architecture``, and, if it was given by its name or file,
            ``name``, ``sha256`` of its weights and ``recipe``, as far as they are known.
        predictions: The truth and the probabilities of every image, for curves and errors; None in
            a report that was read from a file, which has scores only.

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
    auc_intervals: list[tuple[float, float]] = field(default_factory=list)
    class_intervals: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    threshold: float | list[float] | None = None
    groups: list[GroupScores] = field(default_factory=list)
    prediction_sets: SetScores | None = None
    model: dict[str, Any] = field(default_factory=dict)
    predictions: ScoredPredictions | None = field(default=None, repr=False, compare=False)

    def worst_group(self, score: str = "auc") -> GroupScores | None:
        """Return the group with the worst value of a score, of those of at least 30 images.

        Args:
            score: Name of an overall score.

        Returns:
            The group; None if the score is defined for none of them.

        Raises:
            ValueError: If there is no such score.
        """
        return worst_group(self.groups, score)

    def largest_gap(self, score: str = "auc") -> float:
        """Return by how much a score differs between groups of at least 30 images.

        The largest of several differences is above 0 by chance alone; compare the intervals.

        Args:
            score: Name of an overall score.

        Returns:
            Best minus worst; NaN if there are not two such groups.

        Raises:
            ValueError: If there is no such score.
        """
        return largest_gap(self.groups, score)

    def to_html(
        self,
        path: str | os.PathLike[str],
        *,
        images: Split | None = None,
        explain: Explainer | None = None,
        robustness: RobustnessReport | None = None,
    ) -> Path:
        """Write the report as one HTML file, to hand on: it loads nothing and runs no script.

        It shows scores with intervals, each class, ROC and precision-recall curves, confusion,
        reliability, the risk-coverage curve, groups, damaged images, the most confident errors,
        and what was measured how. A report that was read from a file has no curves and errors.

        Args:
            path: The file. An existing one is replaced.
            images: The images that were scored, also in another size, to show those that the
                model is most confidently wrong about.
            explain: Draws heat maps of these images: called with an image, uint8 (C, H, W), and
                the name of a class, it returns an object whose ``overlay`` is a PIL image, as
                ``functools.partial(medzoo.explain, model)`` does.
            robustness: What `medzoo.evaluate_robustness` returned for the same model and images.

        Returns:
            The path.

        Raises:
            ImportError: If matplotlib is not installed.
            TypeError: If `images` is not a `Split`, or `robustness` not a `RobustnessReport`.
            ValueError: If `images` or `robustness` are not of what was scored, the report has no
                predictions to show them by, or `explain` is given without them.
            WriteError: If the file cannot be written.

        Example:
            >>> import medzoo
            >>> data = medzoo.synthetic("breastmnist", n_test=20)
            >>> model = medzoo.create_model("simple_cnn", dataset=data)
            >>> report = medzoo.evaluate(model, data.test)
            >>> report.to_html("report.html", images=data.test).name
            'report.html'
        """
        from medzoo.evaluation.html_report import report_page  # which needs this module

        content = report_page(self, images, explain, robustness).encode()
        return write_atomically(Path(path), content, "the report")

    def _repr_html_(self) -> str:
        """What notebooks show: the scores, and those of each class."""
        from medzoo.evaluation.html_report import report_card  # which needs this module

        return report_card(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values, without `predictions`; NaN becomes None."""
        plain: dict[str, Any] = _without_nan(asdict(replace(self, predictions=None)))
        del plain["predictions"]
        return plain

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Report:
        """Rebuild a report from `to_dict`, also after a trip through JSON.

        Args:
            values: What `to_dict` returned, also by a version that had not all of the fields.

        Returns:
            The report; fields that the version had not have their defaults.

        Raises:
            TypeError: If it is not a dictionary.
            ValueError: If a field is missing or unknown, or a value cannot be one of a report.
        """
        if not isinstance(values, dict):
            raise TypeError(
                f"not a report: {values!r:.80} is a {type(values).__name__}; give what "
                "Report.to_dict() returned"
            )
        known = {item.name for item in fields(cls)} - {"predictions"}
        needed = {
            item.name
            for item in fields(cls)
            if item.default is MISSING and item.default_factory is MISSING
        }
        if not needed <= values.keys() <= known:
            raise ValueError(
                f"not a report: missing {sorted(needed - values.keys())}, "
                f"unknown {sorted(values.keys() - known)}; give what Report.to_dict() returned"
            )
        check_report_values(values)
        restored = dict(values)
        for name in (*SCORE_LABELS, "majority"):
            restored[name] = _number(values.get(name))
        restored["intervals"] = {
            name: _interval(bounds) for name, bounds in values["intervals"].items()
        }
        restored["auc_intervals"] = list(map(_interval, values.get("auc_intervals", [])))
        restored["class_intervals"] = {
            name: list(map(_interval, bounds))
            for name, bounds in values.get("class_intervals", {}).items()
        }
        restored["groups"] = [
            {
                **group,
                "scores": {name: _number(value) for name, value in group["scores"].items()},
                "intervals": {
                    name: _interval(bounds) for name, bounds in group["intervals"].items()
                },
            }
            for group in values.get("groups", [])
        ]
        if sets := values.get("prediction_sets"):
            restored["prediction_sets"] = {
                **sets,
                "overall": _set_coverage(sets["overall"]),
                "per_class": list(map(_set_coverage, sets["per_class"])),
            }
        restored["per_class"] = [
            {name: _class_value(name, row.get(name)) for name in ClassScores.__annotations__}
            for row in values["per_class"]
        ]
        return cls(**restored)

    def __str__(self) -> str:
        """A table of the overall scores with their intervals, and one of the classes."""
        return report_text(self)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _interval(bounds: Any) -> tuple[float, float]:
    low, high = bounds
    return _number(low), _number(high)


def _set_coverage(row: dict[str, Any]) -> SetCoverage:
    intervals = (row["coverage_interval"], row["size_interval"])
    coverage, size = (None if bounds is None else _interval(bounds) for bounds in intervals)
    return SetCoverage(
        name=row["name"],
        coverage=_number(row["coverage"]),
        size=_number(row["size"]),
        coverage_interval=coverage,
        size_interval=size,
    )


def _class_value(name: str, value: Any) -> Any:
    return value if name in ("name", "support") else _number(value)


def _without_nan(value: Any) -> Any:
    """Copy of nested plain values with None for NaN, and lists for tuples, as in JSON."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
