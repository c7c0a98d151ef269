"""timm's architectures, under ``"timm/<name>"``, adapted to small images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers import PatchEmbed
from timm.models import is_model, load_pretrained, resolve_pretrained_cfg
from torch import Tensor, nn

from medzoo.errors import WeightsError, unknown_name
from medzoo.spec import ModelSpec
from medzoo.timeout import run_with_timeout
from medzoo.weights.hub import fetch, reason, time_limit

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
        tensors: Its tensors; None not to load them.
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
    if stored is not None and tensors is not None:
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
    cfg: Mapping[str, Any], stored: ModelSpec, tensors: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Describe weights as timm does, which adapts the stem and drops a classifier that differs.

    Args:
        cfg: timm's configuration of the architecture.
        stored: What the weights file says.
        tensors: Its tensors.
    """
    return dict(cfg) | {
        "state_dict": dict(tensors),
        "input_size": stored.input.shape,
        "mean": stored.input.mean,
        "std": stored.input.std,
        "num_classes": stored.num_classes,
    }


def _load_from_timm(name: str, kwargs: dict[str, Any]) -> nn.Module:
    try:
        overlay = {"file": str(path)} if (path := _hub_file(name, kwargs)) else {}
        given = kwargs.get("pretrained_cfg_overlay") or {}
        kwargs = kwargs | {"pretrained_cfg_overlay": {**given, **overlay}}
        return run_with_timeout(
            time_limit(), lambda: timm.create_model(name, pretrained=True, **kwargs)
        )
    except (ArithmeticError, AssertionError, TypeError, ValueError):
        raise  # caused by an argument, not by the Hub
    except Exception as error:  # several HTTP libraries' errors, depending on huggingface_hub
        why = error if isinstance(error, WeightsError) else reason(error)
        raise WeightsError(f"timm could not load the weights of {name!r}: {why}") from error


def _hub_file(name: str, kwargs: dict[str, Any]) -> Path | None:
    """Fetch the weights that timm would; timm's client names files as the Hub tells it to."""
    given = kwargs.get("pretrained_cfg"), kwargs.get("pretrained_cfg_overlay")
    cfg = resolve_pretrained_cfg(name, *given)
    if not cfg.hf_hub_id or cfg.file or cfg.state_dict:
        return None
    repo_id, _, revision = cfg.hf_hub_id.partition("@")
    return fetch(repo_id, revision or "main")


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


def stem_of(model: nn.Module) -> nn.Conv2d | None:
    """Return the first convolution of a timm network, if there is one that can be made smaller.

    The patch embedding of a transformer is left alone: its stride is the size of the patches.

    Args:
        model: A timm model, whose `pretrained_cfg` names the first convolution.
    """
    name = (getattr(model, "pretrained_cfg", None) or {}).get("first_conv")
    modules = dict(model.named_modules())
    conv = modules.get(name) if isinstance(name, str) else None
    if not isinstance(name, str) or not isinstance(conv, nn.Conv2d):
        return None
    if "patch_embed" in name or isinstance(modules[name.rpartition(".")[0]], PatchEmbed):
        return None
    return conv


@torch.no_grad()
def use_small_stem(model: nn.Module) -> None:
    """Change a network's stem, in place, so that it does not shrink the image.

    The first convolution gets stride 1 and, if its kernel was larger and odd, a 3 x 3 kernel: the
    centre of the original one, so that trained weights stay useful. The max-pool of a ResNet-style
    stem is removed. MedMNIST's own ResNets do the same at 28 x 28. A network without a first
    convolution (one with a patch embedding) is not changed. `feature_info` gives the new
    reductions.

    Args:
        model: A timm model, whose `pretrained_cfg` names the first convolution.
    """
    conv = stem_of(model)
    if conv is None:
        return
    names = [name for name, _ in model.named_modules()]
    shrinkage = conv.stride[0]
    conv.stride = (1, 1)
    kernel = conv.kernel_size[0]
    if kernel > 3 and kernel % 2 == 1:
        margin = (kernel - 3) // 2
        centre = conv.weight[:, :, margin : margin + 3, margin : margin + 3].clone()
        conv.weight = nn.Parameter(centre)
        conv.kernel_size, conv.padding = (3, 3), (1, 1)
    pooled: list[str] = []
    if isinstance(getattr(model, "maxpool", None), nn.Module):
        pooled = names[names.index("maxpool") :]
        model.maxpool = nn.Identity()
    for level in getattr(model, "feature_info", ()):
        level["reduction"] //= shrinkage * (2 if level["module"] in pooled else 1)
