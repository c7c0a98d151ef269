"""Published weights in timm's registry: tags of an architecture's name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from timm.models import DefaultCfg, PretrainedCfg
from torch import Tensor, nn

from medzoo.weights import WeightsEntry, bundled_path, weights_index

PREFIX = "medzoo_"
"""Prefix of medzoo's architectures in timm's registry: ``medzoo_advanced_cnn``."""


def published_cfgs(name: str, default: Mapping[str, Any]) -> DefaultCfg:
    """Configure an architecture for timm: untrained, and with each of its published weights.

    The name without a tag has no weights, so that nobody gets weights by accident.

    Args:
        name: timm's name of the architecture.
        default: Its configuration without weights.
    """
    cfgs = {"": PretrainedCfg(**default)}
    for entry in weights_index().values():
        if PREFIX + entry.architecture == name:
            values = {**default, **entry.spec.timm_config(), **_location(entry)}
            cfgs[entry.tag] = PretrainedCfg(**values)
    return DefaultCfg(tags=deque(cfgs), cfgs=cfgs, is_pretrained=len(cfgs) > 1)


def published_entry(cfg: PretrainedCfg) -> WeightsEntry | None:
    """Return the published weights that a configuration refers to, or None.

    Args:
        cfg: timm's configuration. A user's own weights under a published tag (timm's ``file=``,
            or a repository on the Hub) are not the published ones.
    """
    entry = weights_index().get(f"{str(cfg.architecture).removeprefix(PREFIX)}.{cfg.tag}")
    is_own = cfg.source or cfg.state_dict
    if entry is None or is_own:
        return None
    return entry if all(getattr(cfg, k) == v for k, v in _location(entry).items()) else None


def entry_that_fits(
    architecture: str, tensors: Mapping[str, Tensor], build: Callable[..., nn.Module]
) -> WeightsEntry | None:
    """Return the published weights whose arguments give a network that some tensors fit, or None.

    Args:
        architecture: medzoo's name of the network that the tensors are meant for.
        tensors: The tensors by name, also those of a classifier or stem for other data.
        build: The architecture's class.
    """
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    for entry in weights_index().values():
        if entry.architecture != architecture:
            continue
        with torch.device("meta"):
            wanted = build(**entry.spec.model_args).state_dict()
        differ = {name for name in wanted if shapes.get(name) != wanted[name].shape}
        if wanted.keys() == shapes.keys() and all(
            name.startswith("head.fc.") or _differs_in_channels(shapes[name], wanted[name].shape)
            for name in differ
        ):
            return entry
    return None


def _differs_in_channels(one: torch.Size, other: torch.Size) -> bool:
    """Whether two shapes are those of first convolutions for gray and for RGB images."""
    return len(one) == 4 and {one[1], other[1]} == {1, 3} and one[2:] == other[2:]


def _location(entry: WeightsEntry) -> dict[str, str]:
    bundled = bundled_path(entry)
    if bundled.is_file():
        return {"file": str(bundled)}
    if entry.hub is not None:
        return {"hf_hub_id": f"{entry.hub['repo_id']}@{entry.hub['revision']}"}
    return {}
