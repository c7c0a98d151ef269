"""One description of a model, which the HTTP service and static pages show alike."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from medzoo.html import NOTICE
from medzoo.inference import Model
from medzoo.spec import ModelSpec, spec_of
from medzoo.weights import WeightsEntry, provenance_of, weights_origin

_NUMBERED = {"retinamnist": "grade of diabetic retinopathy"}
"""What the classes of a data set are that MedMNIST gives numbers instead of names."""


def describe_model(
    name: str, model: Model, sources: Sequence[str | os.PathLike[str]] = ()
) -> dict[str, Any]:
    """Describe a model to those who use it through a web page or over HTTP.

    Args:
        name: What it is called there.
        model: The model.
        sources: Where its weights came from: names of published checkpoints, weights files,
            ``hf-hub:`` repositories or .onnx files; several for an ensemble. Nothing is said about
            the training and the scores of a model without them.

    Returns:
        JSON-safe values: name, architecture, data set, task, classes (and ``"classes_are"``, what
        they are if their names are mere numbers, else None), ``input`` as in
        `medzoo.InputSpec`, temperature, ``conformal`` as in `medzoo.ConformalSpec` (None if it
        gives no prediction sets), number of parameters (None if unknown), licence, sha256 of each
        weights file, what it was trained on, and the scores of a published checkpoint on the test
        split, with 95 % intervals.

    Raises:
        TypeError: If the model does not say what it is.
        WeightsError: If a source cannot be read.

    Example:
        >>> import medzoo
        >>> name = "simple_cnn.pneumoniamnist"
        >>> model = medzoo.create_model(name, pretrained=True)
        >>> describe_model(name, model, [name])["classes"]
        ['normal', 'pneumonia']
    """
    spec = spec_of(model)
    origins = [_origin(str(source), spec) for source in sources]
    entries = [entry for entry, _, _ in origins]
    entry = entries[0] if len(entries) == 1 else None
    info = spec.dataset
    titles = dict.fromkeys(title for _, _, title in origins if title)
    return {
        "name": name,
        "architecture": spec.architecture,
        "dataset": info and {"name": info.name, "title": info.title, "licence": info.licence},
        "task": spec.task,
        "multi_label": spec.multi_label,
        "classes": list(spec.class_names),
        "classes_are": _NUMBERED.get(info.name) if info and _are_numbers(spec) else None,
        "input": spec.input.to_dict(),
        "temperature": spec.temperature,
        "conformal": spec.conformal.to_dict() if spec.conformal else None,
        "parameters": _parameters(model, entry),
        "licence": spec.licence,
        "weights_sha256": [sha256 for _, sha256, _ in origins],
        "trained_on": "; ".join(titles) or None,
        "scores": _scores(entry.metrics.get("test")) if entry else None,
        "notice": NOTICE,
    }


def _are_numbers(spec: ModelSpec) -> bool:
    return all(name.isdecimal() for name in spec.class_names)


def _origin(source: str, spec: ModelSpec) -> tuple[WeightsEntry | None, str, str | None]:
    """Return index entry, sha256 and training data of one source, as far as they are known."""
    origin = weights_origin(source)
    if (entry := origin.entry) is not None:
        return entry, origin.sha256, _trained_on(entry.metrics, entry.data, entry.spec)
    if origin.config is None:  # an .onnx file, which does not say what it was trained on
        return None, origin.sha256, spec.dataset.title if spec.dataset else None
    config = origin.config
    trained_on = _trained_on({}, config.training.get("data") or {}, config.spec)
    return None, origin.sha256, trained_on


def _trained_on(
    metrics: Mapping[str, Mapping[str, Any]], data: Mapping[str, Any], spec: ModelSpec
) -> str | None:
    if title := metrics.get("test", {}).get("title"):
        return str(title)
    if spec.dataset is None:
        return None
    title = spec.dataset.title_at(spec.input.size)
    return provenance_of(data).mark(title) if data else title


def _parameters(model: Model, entry: WeightsEntry | None) -> int | None:
    if isinstance(model, nn.Module):
        return sum(parameter.numel() for parameter in model.parameters())
    return entry.parameters if entry else None


def _scores(report: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not report:
        return None
    scores = {
        name: {"value": report[name], "interval": list(report["intervals"][name])}
        for name in ("auc", "acc")
        if report.get(name) is not None and name in report["intervals"]
    }
    return {"split": report["split"], "images": report["n"], **scores}
