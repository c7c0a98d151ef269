"""The state of a training run on disk: enough to go on as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from medzoo.errors import TrainingError
from medzoo.files import write_atomically


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        identity: Architecture, layers, recipe, data and teacher; a run is resumed only as itself.
        epoch: Finished epochs.
        history: A row of figures for each of them; ``val_*`` where it was validated.
        best_epoch: The epoch, from 1, with the best validation AUC; 0 before the first.
        optimizer: The optimiser's numbers, as `optimizer_state` gives them.
    """

    identity: dict[str, Any] = field(default_factory=dict)
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    optimizer: dict[str, int | float] = field(default_factory=dict)

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of the best epoch; None before the first validation."""
        return self.history[self.best_epoch - 1] if self.best_epoch else None

    def stale(self) -> int:
        """Epochs from the best to the last one that was validated, hence might have beaten it."""
        validated = [row["epoch"] for row in self.history if "val_auc" in row]
        return validated[-1] - self.best_epoch if validated else 0


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


def optimizer_state(
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, Tensor], dict[str, int | float]]:
    """Take an optimiser's state apart into named tensors and named numbers.

    Args:
        optimizer: After at least one step.

    Returns:
        ``"3.exp_avg"`` is a slot of the fourth parameter, ``"group0.step"`` a value of the first
        group: some optimisers count their steps there, as a tensor or as a plain number. What else
        is in a group are settings, which a new optimiser has anyway.

    Raises:
        TrainingError: If it keeps something else for a parameter, which would be lost.
    """
    state = optimizer.state_dict()
    for slots in state["state"].values():
        for name, value in slots.items():
            if not isinstance(value, Tensor | int | float):
                raise TrainingError(
                    f"{type(optimizer).__name__} keeps {name!r} as a {type(value).__name__}, which a "
                    "checkpoint cannot hold; use another optimizer, e.g. 'adamw'"
                )
    owners = {str(index): slots for index, slots in state["state"].items()}
    owners |= {f"group{index}": group for index, group in enumerate(state["param_groups"])}
    flat = {f"{owner}.{name}": v for owner, values in owners.items() for name, v in values.items()}
    tensors = {name: value for name, value in flat.items() if isinstance(value, Tensor)}
    numbers = {name: value for name, value in flat.items() if isinstance(value, int | float)}
    return tensors, numbers


def restore_optimizer(
    optimizer: torch.optim.Optimizer, values: Mapping[str, Tensor | int | float]
) -> None:
    """Put what `optimizer_state` gave back into an optimiser over the same parameters.

    Args:
        optimizer: Freshly made.
        values: The named tensors and numbers.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = optimizer.state_dict()
    for key, value in values.items():
        owner, _, name = key.partition(".")
        if owner.startswith("group"):
            state["param_groups"][int(owner.removeprefix("group"))][name] = value
            continue
        parameter = parameters[int(owner)]
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            # Same memory layout as the parameter, hence the same kernels and the same bits.
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state["state"].setdefault(int(owner), {})[name] = value
    optimizer.load_state_dict(state)
