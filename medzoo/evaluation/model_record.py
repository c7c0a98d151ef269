"""What a report says about the model that was measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from medzoo.spec import ModelSpec
from medzoo.weights import weights_origin


def model_record(model: object, spec: ModelSpec) -> dict[str, Any]:
    """Return what is known about a model, JSON-safe.

    Args:
        model: What was measured. The weights of one that is given by its name or file are known;
            of a file, the name alone is recorded, not where it is on this machine.
        spec: What the model is.

    Raises:
        WeightsError: If it is the name of weights that cannot be found or read.
    """
    record: dict[str, Any] = {"architecture": spec.architecture}
    if not isinstance(model, str | os.PathLike):
        return record
    origin, name = weights_origin(model), os.fspath(model)
    if Path(name).is_file():
        name = Path(name).name
    record |= {"name": name, "sha256": origin.sha256}
    if origin.recipe:
        record["recipe"] = dict(origin.recipe)
    return record
