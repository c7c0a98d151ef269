"""Published weights as timm sees them: tags of an architecture's name."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from timm.models import DefaultCfg, PretrainedCfg

from medzoo.errors import WeightsError
from medzoo.weights import WeightsConfig, WeightsEntry, bundled_path, read_config, weights_index

PREFIX = "medzoo_"
"""What medzoo's architectures are called by in timm: ``medzoo_advanced_cnn``."""


def published_cfgs(name: str, default: Mapping[str, Any]) -> DefaultCfg:
    """Configure an architecture for timm: untrained, and with each of its published weights.

    The name without a tag stays untrained, so that nobody gets weights that were not named.

    Args:
        name: timm's name of the architecture.
        default: Its configuration without weights.
    """
    cfgs = {"": PretrainedCfg(**default)}
    for entry in weights_index().values():
        if PREFIX + entry.architecture == name:
            tag = entry.name.partition(".")[2]
            cfgs[tag] = PretrainedCfg(**{**default, **_stated(entry), **_location(entry)})
    return DefaultCfg(tags=deque(cfgs), cfgs=cfgs, is_pretrained=len(cfgs) > 1)


def published_entry(cfg: PretrainedCfg) -> WeightsEntry | None:
    """Return the published weights that a configuration means, or None.

    Args:
        cfg: What timm was asked for. Weights of somebody's own under a published tag (timm's
            ``file=``, or a repository on the Hub) are not the published ones.
    """
    entry = weights_index().get(f"{str(cfg.architecture).removeprefix(PREFIX)}.{cfg.tag}")
    is_own = cfg.source or cfg.state_dict
    if entry is None or is_own:
        return None
    return entry if all(getattr(cfg, k) == v for k, v in _location(entry).items()) else None


def timm_fields(config: WeightsConfig) -> dict[str, Any]:
    """Say in timm's words what a weights file says of its input and classes.

    Args:
        config: The file's configuration.
    """
    fields: dict[str, Any] = {
        "input_size": config.input_size,
        "mean": config.mean,
        "std": config.std,
        "num_classes": config.num_classes,
        "crop_pct": 1.0,
        "crop_mode": "center",
        "interpolation": "bicubic",
        # As the Hub spells it: cc-by-nc-4.0.
        "license": config.licence.lower().replace(" ", "-") or None,
    }
    if config.dataset is not None:
        fields["label_names"] = config.dataset.classes
    return fields


def _location(entry: WeightsEntry) -> dict[str, str]:
    bundled = bundled_path(entry)
    if bundled.is_file():
        return {"file": str(bundled)}
    if entry.hub is not None:
        return {"hf_hub_id": f"{entry.hub['repo_id']}@{entry.hub['revision']}"}
    return {}


def _stated(entry: WeightsEntry) -> dict[str, Any]:
    """Return what the bundled file says; a missing or damaged one must not break the import."""
    try:
        return timm_fields(read_config(_location(entry).get("file", "")))
    except WeightsError:
        return {}
