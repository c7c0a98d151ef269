"""timm's architectures, under ``"timm/<name>"``, adapted to small images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from timm.layers import PatchEmbed
from timm.models import is_model, load_pretrained
from torch import Tensor, nn

from medzoo.errors import WeightsError, unknown_name
from medzoo.models._small_stem import use_small_stem
from medzoo.spec import ModelSpec
from medzoo.weights.hub import reason, run_with_timeout, time_limit

TIMM_PREFIX = "timm/"
LARGEST_SMALL_IMAGE = 64
"""Up to this height and width, timm's networks get a stem that does not shrink the image."""


def check_timm_name(architecture: str) -> None:
    """Raise an error if timm does not know an architecture, or the weights of its tag.

    Args:
        architecture: With medzoo's prefix: ``"timm/resnet18"``, ``"timm/resnet18.a1_in1k"``.

    Raises:
        ValueError: If timm does not know it; the message lists close matches.
    """
    name = architecture.removeprefix(TIMM_PREFIX)
    if not is_model(name.split(".")[0]):
        raise unknown_name("timm architecture", name, timm.list_models())
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        known = timm.list_pretrained(f"{name.split('.')[0]}.*")
        raise unknown_name("timm weights", name, known) from error


def create_timm(
    architecture: str,
    size: int,
    pretrained: bool,
    stored: ModelSpec | None,
    tensors: Mapping[str, Tensor] | None,
    kwargs: dict[str, Any],
) -> nn.Module:
    """Build a network of timm with a stem for small images, and load its weights.

    Args:
        architecture: With medzoo's prefix.
        size: Height (= width) of the images.
        pretrained: Load timm's weights, if no others are given.
        stored: What the weights file says, if there is one.
        tensors: Its tensors.
        kwargs: Arguments of timm's `create_model`.

    Raises:
        ValueError: If timm cannot build it for such images.
        WeightsError: If weights cannot be downloaded, or do not fit.
    """
    name = architecture.removeprefix(TIMM_PREFIX)
    if (timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()).fixed_input_size:
        kwargs = {"img_size": size} | kwargs
    model: Any
    try:
        if pretrained and tensors is None:
            model = _load_from_timm(name, kwargs)
        else:
            model = timm.create_model(name, **kwargs)
    except (ArithmeticError, AssertionError) as error:
        raise ValueError(
            f"timm cannot build {name!r} for size={size} with {kwargs}: {error}; give another "
            "size, a multiple of its patch size or total stride"
        ) from error
    _check_patches(model, name, size)
    # Weights keep the stem that they were trained with.
    if (stored.input.size if stored else size) <= LARGEST_SMALL_IMAGE:
        use_small_stem(model)
    if stored is not None:
        source = weights_source(model.pretrained_cfg, stored, tensors)
        # All tensors must be used, except for those of a classifier for other classes.
        classes = stored.num_classes if kwargs.get("features_only") else model.num_classes
        channels = kwargs.get("in_chans", stored.input.channels)
        try:
            load_pretrained(model, source, classes, channels)
        except RuntimeError as error:
            raise WeightsError(f"the weights do not fit {name} with {kwargs}: {error}") from error
    return model


def weights_source(
    cfg: Mapping[str, Any], stored: ModelSpec, tensors: Mapping[str, Tensor] | None
) -> dict[str, Any]:
    """Describe weights as timm does, which adapts the stem and drops a classifier that differs.

    Args:
        cfg: timm's configuration of the architecture.
        stored: What the weights file says.
        tensors: Its tensors.
    """
    return dict(cfg) | {
        "state_dict": dict(tensors or {}),
        "input_size": stored.input.shape,
        "mean": stored.input.mean,
        "std": stored.input.std,
        "num_classes": stored.num_classes,
    }


def _load_from_timm(name: str, kwargs: dict[str, Any]) -> nn.Module:
    try:
        return run_with_timeout(
            time_limit(), lambda: timm.create_model(name, pretrained=True, **kwargs)
        )
    except (ArithmeticError, AssertionError, TypeError, ValueError):
        raise  # caused by an argument, not by the Hub
    except Exception as error:  # several HTTP libraries' errors, depending on huggingface_hub
        raise WeightsError(
            f"timm could not load the weights of {name!r}: {reason(error)}"
        ) from error


def _check_patches(model: nn.Module, name: str, size: int) -> None:
    """Refuse a size that is not made of whole patches; timm would do so at the first image."""
    embed = getattr(model, "patch_embed", None)
    if not isinstance(embed, PatchEmbed) or embed.strict_img_size or embed.dynamic_img_pad:
        return
    patch = max(embed.patch_size)
    if size % patch:
        raise ValueError(
            f"size={size} is not a multiple of {patch}, the patch size of {name!r}; give "
            f"size={size + -size % patch}"
        )
