"""What is published: weights, and the record of how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from medzoo.errors import unknown_name
from medzoo.evaluation import Report
from medzoo.models import load_file, save_weights
from medzoo.spec import ModelSpec
from medzoo.weights import (
    WeightsEntry,
    locate_named,
    locate_weights,
    provenance_of,
    read_content,
    weights_index,
)
from medzoo.weights.file import with_config

Publishable = nn.Module | WeightsEntry | str | Path
"""A model, a weights file, or published weights (an entry of the index, or its name)."""


@dataclass(frozen=True)
class Release:
    """Weights ready to be published.

    Attributes:
        content: The weights file.
        spec: What the model is, as in the file's header.
        parameters: Number of parameters.
        data: Provenance of the training data (`Provenance.to_dict`); empty if unknown.
        recipe: The recipe of the training; empty if unknown.
        metrics: Reports by split, as `Report.to_dict` gives them.
        licence: Of the weights; empty if unknown.
        teacher: As in `WeightsEntry`; None if there was none or it is not known.
        high_res: As in `WeightsEntry`; None if there was none or it is not known.
        seed_stats: As in `WeightsEntry`.
        validation: AUC and ACC that training recorded, if any.
        report: The report to plot: the given one, else that of the test split in the index; None
            if there is neither.
    """

    content: bytes
    spec: ModelSpec
    parameters: int
    data: Mapping[str, Any]
    recipe: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    licence: str
    teacher: Sequence[Mapping[str, Any]] | None = None
    high_res: Mapping[str, Any] | None = None
    seed_stats: Mapping[str, Any] | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    report: Report | None = None

    @property
    def is_backbone(self) -> bool:
        """Whether the weights have no classifier, so that they give features."""
        return self.spec.num_classes == 0

    @property
    def title(self) -> str:
        """Name of the training data, with a note if it is not the official file."""
        if self.data and (sets := self.data.get("sets")):
            return f"{', '.join(sets)} together"
        title = (
            self.spec.dataset.title_at(self.spec.input.size)
            if self.spec.dataset
            else "unnamed data"
        )
        if not self.data:
            return title
        return provenance_of(self.data).mark(title)

    @classmethod
    def of(
        cls, model: Publishable, report: Report | None = None, licence: str | None = None
    ) -> Release:
        """Collect the record of a model, a weights file, or an entry of the index.

        Args:
            model: What to publish. A model has no record of its training; the file that training
                wrote has.
            report: What `evaluate` returned for it; replaces the known report on the same split.
            licence: Of the weights; by default that in the index, else that in the file or model,
                else that of the data.

        Returns:
            The weights, ready to be published; unknown values are empty.

        Raises:
            TypeError: If the report is not a `Report`, or the model does not say what it is.
            ValueError: If the name is unknown, the model was not made by `create_model`, or the
                report is for another task.
            WeightsError: If the file is missing, damaged, or does not load.
        """
        if isinstance(model, nn.Module):
            with TemporaryDirectory() as folder:
                path = save_weights(model, Path(folder) / "model.safetensors")
                return cls._read(path, None, report, licence)
        if isinstance(model, WeightsEntry):
            return cls._read(locate_weights(model), model, report, licence)
        path_or_none = locate_named(str(model))
        if path_or_none is not None:
            return cls._read(path_or_none, None, report, licence)
        if str(model) not in weights_index():
            raise unknown_name("weights", str(model), weights_index())
        return cls.of(weights_index()[str(model)], report, licence)

    @classmethod
    def _read(
        cls,
        path: Path,
        entry: WeightsEntry | None,
        report: Report | None,
        licence: str | None,
    ) -> Release:
        content = read_content(path)
        # Weights that do not load must not be published.
        model, config = load_file(path, content)
        if report is not None:
            _check_report(report, config.spec)
        training = config.training
        if licence is None:
            licence = entry.licence if entry else config.spec.licence
        elif licence != config.spec.licence:
            config = replace(config, spec=replace(config.spec, licence=licence))
            content = with_config(content, config)
        measured = {report.split: report.to_dict()} if report else {}
        return cls(
            content=content,
            spec=config.spec,
            parameters=sum(p.numel() for p in model.parameters()),
            data=entry.data if entry else training.get("data", {}),
            recipe=entry.recipe if entry else training.get("recipe", {}),
            metrics={**(entry.metrics if entry else {}), **measured},
            licence=licence,
            teacher=entry.teacher if entry else training.get("teacher"),
            high_res=entry.high_res if entry else training.get("high_res"),
            seed_stats=entry.seed_stats if entry else None,
            validation=config.validation,
            report=report or _test_report(entry),
        )


def _check_report(report: object, spec: ModelSpec) -> None:
    if not isinstance(report, Report):
        raise TypeError(
            f"report={report!r:.80} is not a medzoo.Report; give what medzoo.evaluate returned, or "
            "medzoo.Report.from_dict(...) of what its to_dict() gave"
        )
    info, names = spec.dataset, tuple(row["name"] for row in report.per_class)
    if info is None:
        found, expected = f"{len(names)} classes", f"{spec.num_classes} classes"
    else:
        found = f"{report.task} with {len(names)} classes {names}"
        expected = f"{info.task} with {info.num_classes} classes {info.classes}"
    if found != expected:
        raise ValueError(
            f"the report on {report.title} is for another task than the weights: {found}, "
            f"expected {expected}; give the report that medzoo.evaluate returned for these weights"
        )


def _test_report(entry: WeightsEntry | None) -> Report | None:
    """Return the report of the test split in the index; a backbone has none."""
    test = entry.metrics.get("test") if entry else None
    return Report.from_dict(dict(test)) if test else None
