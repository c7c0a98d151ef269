"""medzoo's architectures by name, and the arguments from which a network is built."""

from __future__ import annotations

import copy
import math
import re
import sys
from collections.abc import Iterable
from inspect import signature
from typing import Any

from timm.models import build_model_with_cfg, create_model, model_entrypoint

from medzoo.datasets.info import DEFAULT_SIZE
from medzoo.errors import WeightsError, did_you_mean
from medzoo.models._base import ImageClassifier
from medzoo.models._pretrained import PREFIX
from medzoo.models.advanced_cnn import AdvancedCNN
from medzoo.models.attention_unet import AttentionUNet
from medzoo.models.efficientnet import EfficientNet
from medzoo.models.simple_cnn import SimpleCNN
from medzoo.spec import ModelSpec

ARCHITECTURES: dict[str, type[ImageClassifier]] = {
    "advanced_cnn": AdvancedCNN,
    "attention_unet": AttentionUNet,
    "efficientnet": EfficientNet,
    "simple_cnn": SimpleCNN,
}

_WIDE = {"widths": [48, 128, 272, 384], "depths": [1, 1, 2, 1], "strides": [1, 2, 2, 2]}
_NARROW = {"widths": [32, 64, 128, 256], "depths": [1, 1, 1, 1], "strides": [1, 2, 2, 2]}

# What was chosen for a data set. Training and `create_model` build the same network for it.
_VARIANTS: dict[str, dict[str, Any]] = {
    "advanced_cnn.dermamnist": _WIDE,
    "advanced_cnn.dermamnist_64": _NARROW,
    "advanced_cnn.octmnist": _WIDE,
    "advanced_cnn.octmnist_64": _NARROW,
    "advanced_cnn.chestmnist": _NARROW,
    "advanced_cnn.bloodmnist": _NARROW,
    "advanced_cnn.breastmnist": _NARROW,
    "advanced_cnn.retinamnist": _NARROW,
    "advanced_cnn.pneumoniamnist": _NARROW,
    "advanced_cnn.medmnist": _NARROW,  # the backbone that was trained on several data sets
}

# Arguments of timm's own functions, which say which weights to load, from where, and how to wrap
# the network. All other arguments are the network's, and differ between architectures.
_TIMMS_OWN = {*signature(create_model).parameters, *signature(build_model_with_cfg).parameters}
_TIMMS_OWN |= {"features_only", "out_indices", "feature_cls", "num_classes", "in_chans"}
_TIMMS_OWN -= {"scriptable", "exportable", "no_jit"}


def network_args(architecture: str, dataset: str, size: int = DEFAULT_SIZE) -> dict[str, Any]:
    """Return the arguments that an architecture gets for a data set; all others are its defaults.

    `create_model` and the bundled recipes use them alike, so that both build the same network.
    medzoo's networks are designed for 28 x 28 pixels. Images of 56 pixels or more are halved once
    more, of 112 or more twice, and so on, so that the last stages see maps of the same size and
    cost hardly more.

    Args:
        architecture: Its name, e.g. ``"advanced_cnn"``.
        dataset: The data set's name, e.g. ``"breastmnist"``; others than MedMNIST's have none.
        size: Height and width of the images in pixels.
    """
    name = f"{architecture}.{dataset}"
    args = copy.deepcopy(_VARIANTS.get(f"{name}_{size}", _VARIANTS.get(name, {})))
    halvings = max(0, int(math.log2(max(size, 1) / DEFAULT_SIZE)))
    if architecture not in ARCHITECTURES or not halvings:
        return args
    defaults = signature(ARCHITECTURES[architecture]).parameters
    if "strides" in defaults:
        strides = list(args.get("strides", defaults["strides"].default))
        for stage in [i for i, stride in enumerate(strides) if stride == 1][:halvings]:
            strides[stage] = 2
        return args | {"strides": strides}
    widths = list(args.get("widths", defaults["widths"].default))
    for _ in range(halvings):
        widths.insert(0, max(16, widths[0] // 16 * 8))  # about half, a multiple of 8
    return args | {"widths": widths}


def building_args(architecture: str, model_args: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments from which a network is built.

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


def explain_argument(error: TypeError, architecture: str, others: Iterable[str]) -> TypeError:
    """Say which arguments there are, if a network was given one that does not exist.

    Args:
        error: What its constructor raised.
        architecture: As in `create_model`.
        others: Arguments that the caller takes besides the network's.

    Returns:
        An error that lists close matches; any other error is returned as it is.
    """
    found = re.match(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
    name = architecture.partition("/")[2] or f"{PREFIX}{architecture}"
    network = found and vars(sys.modules[model_entrypoint(name).__module__]).get(found[1])
    if not found or network is None:
        return error
    known = sorted({*signature(network).parameters, *others})
    hint = did_you_mean(found[2], known) or f"known: {', '.join(known)}"
    return TypeError(f"{architecture} has no argument {found[2]!r}; {hint}")


def constructor_args(spec: ModelSpec) -> dict[str, Any]:
    """Return the arguments from which the network of a weights file is built.

    A file may come from anyone, and timm would download and load whatever its arguments name.

    Args:
        spec: The spec in the file.

    Raises:
        WeightsError: If the file has any other argument.
    """
    given = dict(spec.model_args)
    known = building_args(spec.architecture, given)
    for name in given.keys() - known.keys():
        raise WeightsError(
            f"the weights file asks for {name}={given[name]!r}, which is not an argument of "
            f"{spec.architecture}; update medzoo if a newer version wrote the file, and do not use "
            "the file if you do not trust its source"
        )
    return known
