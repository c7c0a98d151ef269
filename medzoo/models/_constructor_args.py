"""The arguments that a weights file gives its network: how it is built, never what is loaded."""

from __future__ import annotations

from inspect import signature
from typing import Any

from timm.models import build_model_with_cfg, create_model

from medzoo.errors import WeightsError
from medzoo.models._registry import ARCHITECTURES
from medzoo.weights import WeightsConfig

# timm's networks differ in their arguments. What all have in common is timm's own: which weights to
# load, from where, and how to wrap the network.
_TIMMS_OWN = {*signature(create_model).parameters, *signature(build_model_with_cfg).parameters}
_TIMMS_OWN |= {"features_only", "out_indices", "feature_cls", "num_classes", "in_chans"}
_TIMMS_OWN -= {"scriptable", "exportable", "no_jit"}


def building_args(architecture: str, model_args: dict[str, Any]) -> dict[str, Any]:
    """Return those arguments that say how a network is built.

    Args:
        architecture: As in `create_model`.
        model_args: Any arguments of `create_model`.
    """
    if architecture in ARCHITECTURES:
        known = signature(ARCHITECTURES[architecture]).parameters.keys() - {
            "num_classes",
            "in_chans",
        }
        return {name: value for name, value in model_args.items() if name in known}
    return {name: value for name, value in model_args.items() if name not in _TIMMS_OWN}


def constructor_args(config: WeightsConfig) -> dict[str, Any]:
    """Return the arguments that a weights file gives its network.

    A file may be anybody's, and timm would fetch and load whatever it is told to.

    Args:
        config: What the file says.

    Raises:
        WeightsError: If there is one that does not say how the network is built.
    """
    given = dict(config.model_args)
    known = building_args(config.architecture, given)
    for name in given.keys() - known.keys():
        raise WeightsError(
            f"the weights file asks for {name}={given[name]!r}, which is no argument that says how "
            f"{config.architecture} is built; update medzoo if a newer version wrote the file, and "
            "do not use the file if you do not trust its source"
        )
    return known
