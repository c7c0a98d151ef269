"""The ``config.json`` of a repository on the Hub, from which timm builds the model."""

from __future__ import annotations

from typing import Any

import timm

from medzoo.models._pretrained import PREFIX
from medzoo.models._timm import LARGEST_SMALL_IMAGE, TIMM_PREFIX, stem_of
from medzoo.spec import ModelSpec

_KEPT = ("first_conv", "classifier", "fixed_input_size")
"""Fields of timm's configuration of an architecture that a spec does not have."""


def timm_config(spec: ModelSpec) -> dict[str, Any]:
    """Describe weights in timm's Hub format, for a ``config.json`` beside ``model.safetensors``.

    With it, ``timm.create_model("hf-hub:org/name", pretrained=True)`` builds the same network, with
    the same logits. timm does not apply a temperature, so its users' probabilities are not
    calibrated; the temperature and thresholds of prediction sets are given under the key
    ``medzoo``.

    timm cannot build a network whose stem medzoo made smaller. Such a network keeps medzoo's name
    (``timm/resnet18``), which timm refuses; it loads with medzoo.

    Args:
        spec: What the model is.

    Returns:
        JSON-safe values.

    Raises:
        RuntimeError: If timm does not know the architecture.
    """
    name = spec.architecture.removeprefix(TIMM_PREFIX)
    is_own = name == spec.architecture
    pretrained_cfg = {k: _json_safe(v) for k, v in spec.timm_config().items() if v is not None}
    channels, size, _ = spec.input.shape
    model = timm.create_model(
        PREFIX + name if is_own else name,
        num_classes=spec.num_classes,
        in_chans=channels,
        pretrained_cfg_overlay={"input_size": spec.input.shape},
        **spec.model_args,
    )
    is_changed = not is_own and size <= LARGEST_SMALL_IMAGE and stem_of(model) is not None
    info = spec.dataset
    return {
        "architecture": spec.architecture if is_changed else model.pretrained_cfg["architecture"],
        "num_classes": spec.num_classes,
        "num_features": model.num_features,
        "label_names": pretrained_cfg.pop("label_names", None),
        "model_args": {k: _json_safe(v) for k, v in spec.model_args.items()},
        "pretrained_cfg": pretrained_cfg | {k: model.pretrained_cfg.get(k) for k in _KEPT},
        "medzoo": {
            "dataset": info.name if info else None,
            "task": info.task if info else None,
            "temperature": spec.temperature,
            **({"conformal": spec.conformal.to_dict()} if spec.conformal else {}),
        },
    }


def _json_safe(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
