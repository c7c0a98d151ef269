"""Building a registered architecture through timm, which also loads its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

import timm
from timm.models import build_model_with_cfg, resolve_pretrained_cfg
from timm.models._features import FeatureGetterNet
from timm.models._input import update_model_args
from torch import Tensor, nn

from medzoo.models._base import ImageClassifier
from medzoo.models._classifier import with_spec
from medzoo.models._pretrained import PREFIX, published_entry
from medzoo.spec import ModelSpec, input_of_timm
from medzoo.weights import full_precision, load_weights


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
    """Build a registered architecture through timm, with weights or as a feature extractor.

    If the weights are published ones, their file is verified, and the architecture's arguments are
    those that they were trained with, unless the caller gives others.

    Args:
        cls: The architecture.
        name: Its registered name.
        pretrained: Load the weights that the configuration names.
        pretrained_cfg: A tag of published weights, or timm's configuration.
        **kwargs: Arguments of the constructor and of timm (`features_only`, `out_indices`).

    Raises:
        ValueError: If weights are wanted but not named.
        WeightsError: If published weights cannot be found or are damaged.
    """
    cfg = resolve_pretrained_cfg(name, pretrained_cfg)
    entry = published_entry(cfg)
    trained_args = dict(entry.spec.model_args) if entry else {}
    overlay = kwargs.get("pretrained_cfg_overlay") or {}
    if entry is not None:
        if pretrained and not overlay.keys() & {"file", "hf_hub_id", "source", "state_dict", "url"}:
            pretrained_cfg = cfg.to_dict() | {"state_dict": load_weights(entry)[1]}
    elif pretrained and not (cfg.has_weights or cfg.state_dict or overlay):
        raise ValueError(
            f"timm.create_model({name!r}, pretrained=True) does not say which weights; name them. "
            f"Published for it: {', '.join(timm.list_pretrained(f'{name}.*')) or 'none'}"
        )
    model = build_model_with_cfg(
        cls,
        name,
        pretrained,
        pretrained_cfg=pretrained_cfg,
        pretrained_filter_fn=_in_full_precision,
        feature_cfg={"feature_cls": _pyramid, "out_indices": None},
        **(trained_args | kwargs),
    )
    update_model_args(model, **trained_args)  # or timm would save a model without them
    forget_tensors(model)
    if not isinstance(model, ImageClassifier):  # a feature pyramid
        return model
    known = entry.spec if entry and pretrained else None
    return with_spec(model, _spec(cls, name, trained_args | kwargs, model, known))


def forget_tensors(model: nn.Module) -> None:
    """Remove tensors from timm's configuration of a network that has been loaded with them.

    Args:
        model: The network, or timm's feature extractor around it.
    """
    for module in model.modules():
        (vars(module).get("pretrained_cfg") or {}).pop("state_dict", None)


def _spec(
    cls: type[ImageClassifier],
    name: str,
    arguments: Mapping[str, Any],
    model: ImageClassifier,
    known: ModelSpec | None,
) -> ModelSpec:
    """Return the spec of a network that timm has just built.

    Args:
        cls: Its architecture.
        name: Its registered name.
        arguments: What it was built with.
        model: The network, with timm's configuration.
        known: The spec of the published weights that it was loaded with, if any.
    """
    cfg = model.pretrained_cfg
    channels = arguments.get("in_chans", cfg["input_size"][0])
    if {channels} != {cfg["input_size"][0], len(cfg["mean"]), len(cfg["std"])}:
        half = (0.5,) * channels
        cfg |= {"input_size": (channels, *cfg["input_size"][1:]), "mean": half, "std": half}
    names = tuple(cfg.get("label_names") or ())
    names = names if len({*names}) == len(names) == model.num_classes else ()
    is_kept = known is not None and known.classes == names
    expected = input_of_timm(cfg)
    is_as_fitted = known is not None and is_kept and known.input == expected
    takes = signature(cls).parameters.keys() - {"num_classes", "in_chans"}
    return ModelSpec(
        architecture=name.removeprefix(PREFIX),
        input=expected,
        num_classes=model.num_classes,
        model_args={key: value for key, value in arguments.items() if key in takes},
        classes=names,
        task=known.task if known and is_kept else None,
        dataset=known.dataset if known and is_kept else None,
        temperature=known.temperature if known and is_kept else 1.0,
        licence=known.licence if known else "",
        conformal=known.conformal if known and is_as_fitted else None,
        selective=known.selective if known and is_as_fitted else None,
    )


def _in_full_precision(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Convert what a weights file stores to float32, before timm sums the channels of the stem."""
    return full_precision(tensors)


def _pyramid(
    model: ImageClassifier, out_indices: int | Sequence[int] | None, **kwargs: Any
) -> FeatureGetterNet:
    levels = len(model.feature_info)
    if out_indices is None:
        out_indices = levels
    chosen = range(-out_indices, 0) if isinstance(out_indices, int) else out_indices
    if not all(-levels <= index < levels for index in chosen):
        raise ValueError(
            f"out_indices={out_indices!r}: the feature pyramid has {levels} levels, one for each "
            f"resolution; give indices below {levels} (in segmentation_models_pytorch, "
            f"encoder_depth={levels} at most)"
        )
    return FeatureGetterNet(model, tuple(chosen), **kwargs)
