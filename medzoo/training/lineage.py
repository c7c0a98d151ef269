"""Where a run's weights come from: its images, what it started from, who taught it."""

from __future__ import annotations

from typing import Any

from torch import nn

from medzoo.datasets import Dataset
from medzoo.inference import Ensemble
from medzoo.inference.model import Model
from medzoo.spec import find_spec, network_of
from medzoo.training.distillation import Teacher
from medzoo.weights.licence import strictest


def lineage(
    model: nn.Module, data: Dataset, teacher: Teacher | None, high_res: Dataset | None
) -> dict[str, Any]:
    """Describe where the weights of a run come from, for their file.

    Args:
        model: The model. Before it was trained it may have had weights, which have a licence.
        data: What it was trained on.
        teacher: Who taught it, if anybody.
        high_res: The larger images that were changed at random in the place of the data's, if any.

    Returns:
        JSON-safe values: data, licence, teacher (a description of each member) and high_res (size
        and md5), the last two None if there was none.
    """
    return {
        "data": data.provenance.to_dict(),
        "licence": strictest(
            data.info.licence,
            spec.licence if (spec := find_spec(model)) else "",
            teacher.licence if teacher else "",
        ),
        "teacher": describe_members(teacher.given) if teacher else None,
        "high_res": {"size": high_res.size, "md5": high_res.provenance.md5} if high_res else None,
    }


def describe_members(model: Model) -> list[dict[str, Any]]:
    """Describe the models that answer together, or the single one that answers.

    Args:
        model: Any callable; of an `Ensemble` its members are described.

    Returns:
        For each its architecture, input size (channels, height, width), the name of the data set
        that it was made for, and its number of parameters; None for what it does not tell.
    """
    network = network_of(model)
    if isinstance(network, Ensemble):
        return [one for member in network.members for one in describe_members(member)]
    spec = find_spec(model)
    return [
        {
            "architecture": (spec and spec.architecture) or type(network).__name__,
            "input_size": list(spec.input.shape) if spec else None,
            "dataset": spec.dataset.name if spec and spec.dataset else None,
            "parameters": sum(p.numel() for p in network.parameters())
            if isinstance(network, nn.Module)
            else None,
        }
    ]
