"""The state of a training run on disk: enough to go on as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from medzoo.errors import TrainingError
from medzoo.weights import write_atomically


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: Finished epochs.
        history: A row of figures for each of them.
        best_epoch: The epoch, from 1, with the best validation AUC; 0 before the first.
        recipe: The recipe, as `Recipe.to_dict` gives it; a run is resumed only under its own.
    """

    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    recipe: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, groups: dict[str, dict[str, Tensor]], progress: Progress) -> None:
    """Write all tensors and the progress into one safetensors file, atomically.

    Args:
        path: The file.
        groups: Named groups of named tensors: model, average, best, optimiser.
        progress: Kept as JSON in the file's header.
    """
    tensors = {
        f"{group}/{name}": tensor.detach().contiguous()
        for group, named in groups.items()
        for name, tensor in named.items()
    }
    write_atomically(path, save(tensors, {"progress": json.dumps(vars(progress))}))


def load_checkpoint(path: Path) -> tuple[dict[str, dict[str, Tensor]], Progress]:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.

    Raises:
        TrainingError: If the file is damaged.
    """
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            for key in file.keys():  # noqa: SIM118
                group, _, name = key.partition("/")
                groups.setdefault(group, {})[name] = file.get_tensor(key)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"checkpoint {path} cannot be read ({error}); delete it to start the run anew"
        ) from error
    return groups, progress


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flatten an optimiser's state into named tensors.

    Args:
        optimizer: After at least one step.
    """
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, slots in state.items()
        for name, value in slots.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the state that `optimizer_tensors` gave back into an optimiser over the same parameters.

    Args:
        optimizer: Freshly made.
        tensors: The named tensors.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:
            # Same memory layout as the parameter, hence the same kernels and the same bits.
            tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
        optimizer.state[parameter][name] = tensor
