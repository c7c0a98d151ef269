"""Which part of a network training leaves as it is, by the layers that the network names."""

from __future__ import annotations

from timm.models import group_modules, group_parameters
from torch import nn


class Frozen:
    """The frozen part of a model: its parameters do not learn, its batch norms do not count.

    The parameters are frozen at once, batch norms only by `freeze`.

    Args:
        model: A model; those of medzoo and timm name their layers.
        freeze: ``"none"``, ``"stem"``, ``"backbone"``, or a number of stages; see `Recipe`.

    Attributes:
        parameters: Those that would learn if they were not frozen.
        norms: The modules with running statistics.

    Raises:
        ValueError: If the model does not name its layers, or has fewer stages.
    """

    def __init__(self, model: nn.Module, freeze: str | int) -> None:
        names = frozen_names(model, freeze)
        self.parameters = [
            parameter
            for name, parameter in model.named_parameters()
            if name in names and parameter.requires_grad
        ]
        self.norms = [
            module
            for name, module in model.named_modules()
            if name in names and hasattr(module, "running_mean")
        ]
        self._let_learn(False)

    def freeze(self) -> None:
        """Keep the part from changing; again after each `train()`, which wakes batch norms up."""
        self._let_learn(False)
        for norm in self.norms:
            norm.eval()

    def unfreeze(self) -> None:
        """Let the parameters learn again."""
        self._let_learn(True)

    def _let_learn(self, learns: bool) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(learns)


def layers_of(model: nn.Module, wanted_by: str) -> dict[str, int]:
    """Return the layer of each parameter and module: 0 for the stem, then stages, then the rest.

    Args:
        model: A model with timm's ``group_matcher``.
        wanted_by: The recipe's field that needs it, for the error.

    Raises:
        ValueError: If the model has no ``group_matcher``.
    """
    if not hasattr(model, "group_matcher"):
        raise ValueError(
            f"{type(model).__name__} does not name its layers, which the recipe's {wanted_by} "
            "needs; give it timm's method group_matcher, or take a model of medzoo.create_model"
        )
    matcher = model.group_matcher(coarse=True)  # type: ignore[operator]
    return {
        **group_modules(model, matcher, reverse=True),
        **group_parameters(model, matcher, reverse=True),
    }


def frozen_names(model: nn.Module, freeze: str | int) -> set[str]:
    """Return the names of the parameters and modules that `Recipe.freeze` keeps as they are.

    Args:
        model: A model; it is not changed.
        freeze: ``"none"``, ``"stem"``, ``"backbone"``, or a number of stages.

    Raises:
        ValueError: If the model does not name its layers, or has fewer stages.
    """
    if freeze == "none":
        return set()
    layers = layers_of(model, "freeze")
    if freeze == "backbone":
        found = model.get_classifier()  # type: ignore[operator]
        heads = found if isinstance(found, tuple) else (found,)  # DeiT's has two
        learns = {id(part) for head in heads for part in (*head.modules(), *head.parameters())}
        named = {**dict(model.named_modules()), **dict(model.named_parameters())}
        return {name for name in layers if id(named[name]) not in learns}
    last = 0 if freeze == "stem" else int(freeze)
    stages = max(layers.values()) - 1
    if last > stages:
        raise ValueError(
            f"freeze={freeze!r}, but {type(model).__name__} has {stages} stages; expected a number "
            f"from 1 to {stages}, or 'backbone' for all but the classifier"
        )
    return {name for name, layer in layers.items() if layer <= last}
