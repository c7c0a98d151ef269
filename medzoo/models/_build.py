"""Building a registered architecture through timm, with published weights or those that timm is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import timm
from timm.models import build_model_with_cfg, resolve_pretrained_cfg
from timm.models._features import FeatureGetterNet
from timm.models._input import update_model_args
from torch import Tensor, nn

from medzoo.models._base import ImageClassifier
from medzoo.models._pretrained import published_entry, timm_fields
from medzoo.weights import locate_weights, read_config


def small_image_cfg(**overrides: Any) -> dict[str, Any]:
    """Build timm's default configuration for a network made for 28 x 28 images.

    Args:
        **overrides: Fields of timm's `PretrainedCfg` that differ.
    """
    return {
        "input_size": (3, 28, 28),
        "num_classes": 7,
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "classifier": "head.fc",
        **overrides,
    }


def build(
    cls: type[ImageClassifier],
    name: str,
    pretrained: bool,
    pretrained_cfg: Any = None,
    **kwargs: Any,
) -> nn.Module:
    """Build a registered architecture through timm, which loads weights and wraps for features.

    If the weights are published ones, their file is verified, and the architecture's arguments are
    those that they were trained with, unless the caller gives others.

    Args:
        cls: The architecture.
        name: Its registered name.
        pretrained: Load the weights that the configuration names.
        pretrained_cfg: A tag of published weights, or a configuration of timm's.
        **kwargs: The constructor's arguments and timm's own (`features_only`, `out_indices`).

    Raises:
        ValueError: If weights are wanted but not named.
        WeightsError: If published weights are nowhere to be had, or damaged.
    """
    cfg = resolve_pretrained_cfg(name, pretrained_cfg)
    trained_args: dict[str, Any] = {}
    entry = published_entry(cfg)
    if entry is not None:
        path = locate_weights(entry)
        config = read_config(path)
        trained_args = dict(config.model_args)
        pretrained_cfg = cfg.to_dict() | timm_fields(config) | {"file": str(path)}
    elif pretrained and not (
        cfg.has_weights or cfg.state_dict or kwargs.get("pretrained_cfg_overlay")
    ):
        raise ValueError(
            f"timm.create_model({name!r}, pretrained=True) does not say which weights; name them. "
            f"Published for it: {', '.join(timm.list_pretrained(f'{name}.*')) or 'none'}"
        )
    model = build_model_with_cfg(
        cls,
        name,
        pretrained,
        pretrained_cfg=pretrained_cfg,
        pretrained_filter_fn=_in_single_precision,
        feature_cfg={"feature_cls": _pyramid, "out_indices": None},
        **(trained_args | kwargs),
    )
    update_model_args(model, **trained_args)  # or timm would save a model without them
    if entry is not None and pretrained:
        model.licence = entry.licence
    return model


def _in_single_precision(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Undo the half precision of files, before timm adds up a stem's channels in it."""
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}


def _pyramid(
    model: ImageClassifier, out_indices: int | Sequence[int] | None, **kwargs: Any
) -> FeatureGetterNet:
    levels = len(model.feature_info)
    if out_indices is None:
        out_indices = levels
    chosen = range(-out_indices, 0) if isinstance(out_indices, int) else out_indices
    if not all(-levels <= index < levels for index in chosen):
        raise ValueError(
            f"out_indices={out_indices!r}: the feature pyramid has {levels} levels, one a "
            f"resolution, so they are below {levels} (encoder_depth={levels} at most, as "
            "segmentation_models_pytorch calls it)"
        )
    return FeatureGetterNet(model, tuple(chosen), **kwargs)
