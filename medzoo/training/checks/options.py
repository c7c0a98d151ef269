"""The optional arguments of a training, and an error for those that do not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch

from medzoo.datasets import Dataset
from medzoo.errors import did_you_mean
from medzoo.inference.model import Model
from medzoo.training.callbacks import Callback
from medzoo.training.loss import Loss
from medzoo.training.recipes.recipe import Recipe


class TrainerOptions(TypedDict, total=False):
    """The optional arguments of `Trainer`, which `train` and `finetune` take as well."""

    output: str | Path | None
    name: str | None
    teacher: Model | None
    high_res: Dataset | None
    device: str | torch.device
    progress: bool | None
    tensorboard: bool
    compile: bool
    ood_detector: bool
    loss: Loss | None
    callbacks: Sequence[Callback]


def check_options(function: str, options: Mapping[str, Any]) -> None:
    """Refuse options that do not exist; fields of the recipe are told apart.

    Args:
        function: Who was called, for the message.
        options: The options.

    Raises:
        TypeError: If one does not exist.
    """
    for name, value in options.items():
        if name in Recipe.__dataclass_fields__:
            raise TypeError(
                f"{function}() has no argument {name!r}, which belongs to the recipe: "
                f"medzoo.{function}(..., recipe={{{name!r}: {value!r:.80}}})"
            )
        if name not in TrainerOptions.__annotations__:
            known = sorted(TrainerOptions.__annotations__)
            hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
            raise TypeError(f"{function}() has no argument {name!r}; {hint}")
