"""Architectures, each registered with timm, and the factory that fits them to data."""

from __future__ import annotations

from pkgutil import iter_modules
from typing import TYPE_CHECKING

from medzoo.lazy import export_lazily
from medzoo.weights.index import weights_index

if TYPE_CHECKING:
    from medzoo.models._base import ImageClassifier
    from medzoo.models._checkpoint import architecture_of
    from medzoo.models._classifier import Classifier, Specified, with_spec
    from medzoo.models._factory import bind_to_dataset, create_model
    from medzoo.models.advanced_cnn import AdvancedCNN
    from medzoo.models.attention_unet import AttentionUNet
    from medzoo.models.efficientnet import EfficientNet
    from medzoo.models.simple_cnn import SimpleCNN

__all__ = [
    "AdvancedCNN",
    "AttentionUNet",
    "Classifier",
    "EfficientNet",
    "ImageClassifier",
    "SimpleCNN",
    "Specified",
    "architecture_of",
    "bind_to_dataset",
    "create_model",
    "list_models",
    "with_spec",
]


def list_models(pretrained: bool = False) -> list[str]:
    """List medzoo's architectures, or the checkpoints that exist.

    timm's architectures are available as well, as ``"timm/<name>"``; `timm.list_models` lists
    those.

    Args:
        pretrained: List published checkpoints (``"architecture.dataset"``) instead.

    Returns:
        The names, sorted.
    """
    if pretrained:
        return sorted(weights_index())
    # The files' names, so that nothing has to be imported (PyTorch takes seconds).
    return sorted(module.name for module in iter_modules(__path__) if module.name[0] != "_")


export_lazily(
    __name__,
    {
        "_base": ("ImageClassifier",),
        "_checkpoint": ("architecture_of",),
        "_classifier": ("Classifier", "Specified", "with_spec"),
        "_factory": ("bind_to_dataset", "create_model"),
        "advanced_cnn": ("AdvancedCNN",),
        "attention_unet": ("AttentionUNet",),
        "efficientnet": ("EfficientNet",),
        "simple_cnn": ("SimpleCNN",),
    },
)
