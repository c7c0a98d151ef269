"""Where a run's weights come from: its images, what it started from, who taught it."""

from __future__ import annotations

from typing import Any

from torch import nn

from medzoo.datasets import Dataset
from medzoo.training.teacher import Teacher
from medzoo.weights.licence import licence_of, strictest


def origin(model: nn.Module, data: Dataset, teacher: Teacher | None) -> dict[str, Any]:
    """Describe where the weights of a run come from, for their file.

    Args:
        model: The model. Before it was trained it may have had weights, which have a licence.
        data: What it was trained on.
        teacher: Who taught it, if anybody.

    Returns:
        JSON-safe values: data and licence.
    """
    return {
        "data": data.provenance.to_dict(),
        "licence": strictest(data.info.licence, licence_of(model), licence_of(teacher)),
    }
