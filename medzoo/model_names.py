"""The names of all models, found without importing them (PyTorch and timm take seconds)."""

from __future__ import annotations

from pathlib import Path
from pkgutil import iter_modules

from medzoo.weights import weights_index

_ARCHITECTURES = Path(__file__).parent / "models"


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
    # Each architecture has a file of its name; all other files start with an underscore.
    return sorted(file.name for file in iter_modules([str(_ARCHITECTURES)]) if file.name[0] != "_")
