"""What was measured, on what, and by which call."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from medzoo.html import Section, Table

if TYPE_CHECKING:
    from medzoo.evaluation.report import Report

_PACKAGES = ("torch", "timm", "numpy", "scikit-learn")


def provenance_section(report: Report) -> Section:
    """Show which images and weights were used, and how the report was made.

    Args:
        report: The report.
    """
    header = ("what", "value")
    tables = [Table(header, list(_data(report)), "Images", text_columns=2)]
    if model := list(_model(report.model)):
        tables.append(Table(header, model, "Model", text_columns=2))
    return Section("Provenance and how this was made", tables=tables, code=[call_of(report)])


def _data(report: Report) -> Iterator[tuple[str, str]]:
    provenance = report.provenance
    yield "data set", report.title
    yield "split", f"{report.split}, {report.n:,} images"
    yield "official", "yes, medmnist's own file" if provenance["official"] else "no"
    for name in ("note", "file", "md5"):
        if provenance.get(name):
            yield name, provenance[name]


def _model(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, label in (("name", "name"), ("architecture", "architecture"), ("sha256", "sha256")):
        if model.get(name):
            yield label, model[name]
    if recipe := dict(model.get("recipe", {})):
        if "seed" in recipe:
            yield "seed of the training", str(recipe.pop("seed"))
        yield "recipe", ", ".join(f"{name} {value}" for name, value in _settings(recipe))


def _settings(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a recipe sets, without what it leaves out or switches off."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _settings(value)
        elif value not in (None, "", "none") and value is not False and value != 0:
            yield name, value


def call_of(report: Report) -> str:
    """Return the call that makes the same report again of the same model and images.

    Args:
        report: The report.
    """
    name = report.model.get("name")
    arguments = [repr(name) if name else "model", f"data.{report.split}"]
    if report.threshold is not None:
        arguments.append(f"threshold={report.threshold!r}")
    if report.groups:
        arguments.append("groups=groups")
    if report.tta != "none":
        arguments.append(f"tta={report.tta!r}")
    arguments.append(f"temperature={report.temperature!r}")
    arguments.append(f"resamples={report.resamples}, seed={report.seed}")
    return f"medzoo.evaluate({', '.join(arguments)})"


def versions() -> str:
    """Return the versions of medzoo and of what its figures depend on."""
    own = import_module("medzoo").__version__  # type checkers would see a circle of imports
    others = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"medzoo {own} ({others}, Python {platform.python_version()})"
