"""Everything that changes during a training run, and what is left of it at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from medzoo.errors import TrainingError
from medzoo.evaluation import Calibration
from medzoo.html import Section, Table, card
from medzoo.models import Classifier
from medzoo.spec.checks import check_whole, is_finite
from medzoo.training.optim import Frozen, create_optimizer
from medzoo.training.recipes.recipe import Recipe

_EPOCHS_SHOWN = 5  # in a notebook


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
        model: The model with the weights of the best epoch, in evaluation mode.
        recipe: What it was trained by.
        history: One row per epoch: epoch, loss, lr, images_per_second, seconds; and val_loss,
            val_auc, val_acc where it was validated.
        best_epoch: The epoch, from 1, with the best validation AUC (of equal ones, the last), whose
            weights are kept.
        val_auc: Validation AUC of the calibrated model, as `medzoo.evaluate` measures it. The
            history has the one of the uncalibrated model, by which the epoch was chosen; with
            more than two classes, they may differ a little.
        val_acc: Its validation accuracy.
        calibration: The temperature and prediction sets that were fitted to the validation split,
            and what that changed.
        weights: The weights file, or None if the run wrote none.
        stopped: Why the run ended before the recipe's last epoch; empty if it did not.
    """

    model: Classifier = field(repr=False)
    recipe: Recipe = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    best_epoch: int
    val_auc: float
    val_acc: float
    calibration: Calibration
    weights: Path | None
    stopped: str = ""

    @classmethod
    def of(
        cls,
        model: Classifier,
        recipe: Recipe,
        progress: Progress,
        calibration: Calibration,
        weights: Path | None,
    ) -> Run:
        """Describe a run that has ended.

        Args:
            model: The model with the weights of the best epoch.
            recipe: What it was trained by.
            progress: How far it came.
            calibration: How the model was calibrated.
            weights: The weights file, if any.
        """
        return cls(
            model,
            recipe,
            progress.history,
            best_epoch=progress.best_epoch,
            val_auc=calibration.auc,
            val_acc=calibration.acc,
            calibration=calibration,
            weights=weights,
            stopped=progress.stopped if progress.epoch < recipe.epochs else "",
        )

    def _repr_html_(self) -> str:
        """What notebooks show: the scores, the last epochs, and where the weights are."""
        spec = self.model.spec
        name = f"{spec.architecture}, {spec.dataset.title}" if spec.dataset else spec.architecture
        facts = [
            ("best epoch", f"{self.best_epoch} of {len(self.history)}"),
            ("validation AUC", f"{self.val_auc:.4f}"),
            ("validation ACC", f"{self.val_acc:.4f}"),
            ("temperature", f"{spec.temperature:.3g}"),
            ("weights", self.weights.name if self.weights else "not written"),
        ]
        if self.stopped:
            facts.append(("stopped", self.stopped))
        columns = [key for key in ("loss", "val_loss", "val_auc", "val_acc") if self._has(key)]
        epochs = [
            (str(row["epoch"]), *(_measured(row.get(key)) for key in columns))
            for row in self.history[-_EPOCHS_SHOWN:]
        ]
        tables = [
            Table(("run", "value"), facts),
            Table(("epoch", *columns), epochs, "The last epochs", text_columns=0),
        ]
        return card(name, [Section("Training", tables=tables)])

    def _has(self, key: str) -> bool:
        return any(row.get(key) is not None for row in self.history)


def _measured(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: Finished epochs.
        history: One row of figures per finished epoch; ``val_*`` where it was validated.
        best_epoch: The epoch, from 1, with the best validation AUC; 0 before the first.
        stopped: Why the run ends after this epoch; empty if it goes on.
    """

    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = ""

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of the best epoch; None before the first validation."""
        return self.history[self.best_epoch - 1] if self.best_epoch else None

    def stale(self) -> int:
        """Number of epochs from the first with the best AUC to the last that was validated.

        The last of several with this AUC is the one that is kept, but is no better.
        """
        validated = [row for row in self.history if "val_auc" in row]
        if self.best is None or not validated:
            return 0
        first = next(row for row in validated if row["val_auc"] == self.best["val_auc"])
        return validated[-1]["epoch"] - first["epoch"]

    def check(self, epochs: int) -> None:
        """Make sure that this is how far a run can have come.

        Args:
            epochs: The recipe's.

        Raises:
            TypeError: If a value is of the wrong type.
            ValueError: If the values contradict each other.
        """
        check_whole("epoch", self.epoch, 1, epochs)
        check_whole("best_epoch", self.best_epoch, 0, self.epoch)
        # `epoch` may be any number here, so it is not counted to.
        numbers = [row["epoch"] for row in self.history]
        if len(numbers) != self.epoch or numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"the history is not that of {self.epoch} epochs")
        needed = [row[name] for row in self.history for name in ("loss", "seconds")]
        if not all(map(is_finite, [*needed, *([self.best["val_auc"]] if self.best else [])])):
            raise ValueError("loss, seconds and the best val_auc must be finite numbers")
        if not isinstance(self.stopped, str):
            raise TypeError(f"stopped={self.stopped!r:.80} is not text")

    def is_finished(self, epochs: int) -> bool:
        """Whether no epoch follows.

        Args:
            epochs: The recipe's.
        """
        return bool(self.stopped) or self.epoch >= epochs


class TrainState:
    """Model, moving average, optimiser, learning rate, best weights and progress of one run.

    Args:
        model: The model, on `device`. What the recipe freezes is left out of the optimiser; to
            train, freeze it (`frozen`).
        recipe: How it is trained.
        steps: Steps of the whole run.
        device: Where it is trained.

    Attributes:
        average: The moving average of the weights, which is validated and kept.
        best: The averaged weights of the best epoch; empty before the first validation.
        scheduler: Sets the learning rate. It depends on the step alone, so it is not saved.
        frozen: The part of the model that does not learn.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, steps: int, device: torch.device) -> None:
        self.model = model
        self.frozen = Frozen(model, recipe.freeze)
        self.optimizer = create_optimizer(
            model,
            recipe.optimizer,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            layer_decay=recipe.layer_decay,
            device=device,
        )
        warmup = min(round(recipe.warmup * steps), steps - 1)
        self.scheduler = CosineLRScheduler(
            self.optimizer,
            steps - warmup,
            warmup_t=warmup,
            warmup_prefix=True,
            t_in_epochs=False,
            cycle_decay=0.5,  # of later cycles, and there is one; timm complains about 1 step and 1
        )
        # The warm-up of the decay keeps random initial weights out of the average of short runs.
        self.average = ModelEmaV3(model, recipe.ema_decay, use_warmup=True)
        self.best: dict[str, Tensor] = {}
        self.progress = Progress()
        self.frozen.unfreeze()  # a model that is never trained stays as it was

    def keep_if_best(self, row: Mapping[str, Any]) -> None:
        """Keep the averaged weights if a validation was the best so far; of equal ones, the last.

        On a small validation split the AUC of several epochs is equal, and the first of them has
        learned least.

        Args:
            row: Figures of the epoch, not yet in the history.
        """
        best = self.progress.best
        if best is None or row["val_auc"] >= best["val_auc"]:
            self.progress.best_epoch = row["epoch"]
            self.best = {k: v.clone() for k, v in self.average.module.state_dict().items()}

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Return all that is needed to go on.

        Returns:
            ``model``, ``average``, ``best`` and ``optimizer``: named tensors. ``progress`` and
            ``optimizer_numbers``: JSON-safe.

        Raises:
            TrainingError: If the optimiser keeps something that a file cannot hold.
        """
        tensors, numbers = optimizer_state(self.optimizer)
        return {
            "model": self.model.state_dict(),
            "average": self.average.module.state_dict(),
            "best": self.best,
            "optimizer": tensors,
            "optimizer_numbers": numbers,
            "progress": vars(self.progress),
        }

    def load_state_dict(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over what `state_dict` returned.

        Args:
            values: Of a run of the same model by the same recipe.

        Raises:
            ValueError: If they are not. The model is then unchanged.
        """
        progress = Progress(**values["progress"])
        groups = {name: values.get(name, {}) for name in ("model", "average", "best")}
        shapes = _shapes(self.model.state_dict())
        for name, tensors in groups.items():
            is_missing = name == "best" and not progress.best_epoch  # before any validation
            if _shapes(tensors) != ({} if is_missing else shapes):
                raise ValueError(f"its tensors {name}/* are not those of the model")
        try:
            numbers = values["optimizer_numbers"]
            restore_optimizer(self.optimizer, {**values.get("optimizer", {}), **numbers})
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"it does not hold the state of this optimizer: {error}") from error
        self.best = dict(groups["best"])
        self.model.load_state_dict(groups["model"])
        self.average.module.load_state_dict(groups["average"])
        self.progress = progress


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def optimizer_state(
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, Tensor], dict[str, int | float]]:
    """Split an optimiser's state into named tensors and named numbers.

    Args:
        optimizer: After at least one step.

    Returns:
        ``"3.exp_avg"`` is a slot of the fourth parameter, ``"group0.step"`` a value of the first
        group: some optimisers count their steps there, as a tensor or as a plain number. Whatever
        else is in a group is a setting, which a new optimiser has anyway.

    Raises:
        TrainingError: If it keeps something else for a parameter, which would be lost.
    """
    state = optimizer.state_dict()
    for slots in state["state"].values():
        for name, value in slots.items():
            if not isinstance(value, Tensor | int | float):
                raise TrainingError(
                    f"{type(optimizer).__name__} keeps {name!r} as a {type(value).__name__}, which "
                    "a checkpoint cannot hold; use another optimizer, e.g. 'adamw'"
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
            # The parameter's memory layout, so that the same kernels give the same bits.
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state["state"].setdefault(int(owner), {})[name] = value
    optimizer.load_state_dict(state)
