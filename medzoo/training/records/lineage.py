"""What a model says about itself, and where the weights of a run come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset, DatasetInfo
from medzoo.errors import WeightsError
from medzoo.inference import Ensemble
from medzoo.inference.model import Model
from medzoo.spec import find_spec, network_of
from medzoo.training.recipes.recipe import Recipe
from medzoo.weights import DIGESTS, read_weights, sample_digests
from medzoo.weights.licence import strictest


def architecture_name(model: object) -> str:
    """Return the name that builds a model, or its class's name if it does not say.

    Args:
        model: Any model.
    """
    spec = find_spec(model)
    return (spec and spec.architecture) or type(network_of(model)).__name__


def can_be_rebuilt(model: object) -> bool:
    """Whether a model says how it was built, so that a weights file of it can be loaded.

    Args:
        model: Any model.
    """
    spec = find_spec(model)
    return spec is not None and bool(spec.architecture)


def with_arguments_of(model: object, recipe: Recipe) -> Recipe:
    """Return a recipe whose `model_args` are those that a model was built with.

    Args:
        model: Any model; if it does not say how it was built, the recipe stays as it is.
        recipe: How it is to be trained. Its own arguments are for a model that is yet to be made.
    """
    spec = find_spec(model)
    return replace(recipe, model_args=spec.model_args) if spec and spec.architecture else recipe


def is_made_for(model: object, info: DatasetInfo) -> bool:
    """Whether a model's classifier is one for a data set.

    Args:
        model: Any model.
        info: The data set.
    """
    spec = find_spec(model)
    known = spec.dataset if spec else None
    return known is not None and (known.name, known.classes) == (info.name, info.classes)


def lineage(
    model: nn.Module, data: Dataset, teacher: Model | None, high_res: Dataset | None
) -> dict[str, Any]:
    """Describe where the weights of a run come from, for their file.

    Args:
        model: The model. Before it was trained it may have had weights, which have a licence.
        data: What it was trained on.
        teacher: The model that taught it, if any.
        high_res: The larger images that were augmented instead of the data's, if any.

    Returns:
        JSON-safe values: data, licence, teacher (a description of each member) and high_res (size
        and md5). The last two are None if there was none.
    """
    return {
        "data": data.provenance.to_dict() | {DIGESTS: sample_digests(data.train)},
        "licence": strictest(data.info.licence, _licence(model), _licence(teacher)),
        "teacher": None if teacher is None else describe_members(teacher),
        "high_res": {"size": high_res.size, "md5": high_res.provenance.md5} if high_res else None,
    }


def learns_from(path: Path, backbone: str, teacher: Model | None) -> bool:
    """Whether a weights file is one that a run learns from, as backbone or teacher.

    A model does not know its file, so the weights of a teacher, or of its members, are compared.

    Args:
        path: The file, which exists.
        backbone: Name or file of the recipe's; empty if there is none.
        teacher: The teacher, if any.
    """
    if backbone and Path(backbone).exists() and path.samefile(backbone):
        return True
    network = network_of(teacher) if teacher is not None else None
    members = network.members if isinstance(network, Ensemble) else (network,)
    modules = [one for one in map(network_of, members) if isinstance(one, nn.Module)]
    if not modules:
        return False
    try:
        _, stored = read_weights(path)
    except WeightsError:
        return False
    return any(_are_equal(stored, module.state_dict()) for module in modules)


def _are_equal(stored: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> bool:
    return stored.keys() == tensors.keys() and all(
        torch.equal(tensor, tensors[name].to("cpu", tensor.dtype))
        for name, tensor in stored.items()
    )


def describe_members(model: Model) -> list[dict[str, Any]]:
    """Describe the models that answer together, or the single one that answers.

    Args:
        model: Any callable; of an `Ensemble` its members are described.

    Returns:
        For each its architecture, input size (channels, height, width), the name of the data set
        that it was made for, and its number of parameters; None for what is unknown.
    """
    network = network_of(model)
    if isinstance(network, Ensemble):
        return [one for member in network.members for one in describe_members(member)]
    spec = find_spec(model)
    return [
        {
            "architecture": architecture_name(model),
            "input_size": list(spec.input.shape) if spec else None,
            "dataset": spec.dataset.name if spec and spec.dataset else None,
            "parameters": sum(p.numel() for p in network.parameters())
            if isinstance(network, nn.Module)
            else None,
        }
    ]


def _licence(model: object) -> str:
    spec = find_spec(model)
    return spec.licence if spec else ""
