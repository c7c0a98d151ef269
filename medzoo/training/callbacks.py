"""Callbacks: code of the user that runs between epochs, and may stop the run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from medzoo.errors import as_whole, warn_caller
from medzoo.files import writing
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.state import TrainState

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class RunState:
    """What a callback sees of a run, and how it stops it.

    Args:
        name: Name of the run.
        recipe: How the model is trained.
        state: The state of the run.
        stop_reason: Why the run ends; empty as long as it goes on.

    Attributes:
        name: Name of the run.
        recipe: How the model is trained.
        stop_reason: Why the run ends; empty as long as it goes on.
    """

    def __init__(self, name: str, recipe: Recipe, state: TrainState, stop_reason: str = "") -> None:
        self.name = name
        self.recipe = recipe
        self.stop_reason = stop_reason
        self._state = state

    @property
    def model(self) -> nn.Module:
        """The model with the averaged weights, as it is validated; not to be changed."""
        return self._state.average.module

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return self._state.progress.epoch

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row of figures per finished epoch, as in `Run.history`."""
        return self._state.progress.history

    @property
    def row(self) -> dict[str, Any]:
        """Figures of the last epoch; empty before the first."""
        return self.history[-1] if self.history else {}

    @property
    def best(self) -> dict[str, Any] | None:
        """Figures of the epoch with the best validation AUC; None before the first validation."""
        return self._state.progress.best

    @property
    def epochs_since_best(self) -> int:
        """Number of epochs from the best one to the last one that was validated."""
        return self._state.progress.stale()

    def stop(self, reason: str = "stopped by a callback") -> None:
        """End the run after this epoch, as if it were the recipe's last.

        The first reason counts.

        Args:
            reason: Why; it becomes `Run.stopped`. Must not be empty.

        Raises:
            ValueError: If it is empty.
        """
        if not reason:
            raise ValueError("reason='' says nothing; give a few words, which Run.stopped keeps")
        self.stop_reason = self.stop_reason or reason


class Callback:
    """Base class of callbacks: override the methods that you need.

    With several processes, process 0 alone calls them; all processes follow its decision to stop.
    An exception in a callback ends the run; the epochs before the current one can be resumed. After
    the last epoch (`on_fit_end`), it is a warning, and the run is returned.

    Example:
        >>> class Budget(Callback):
        ...     def on_epoch_end(self, state):
        ...         if sum(row["seconds"] for row in state.history) > 3600:
        ...             state.stop("an hour has passed")
    """

    def on_fit_start(self, state: RunState) -> None:
        """Run before the first epoch, or, in a resumed run, before the next one.

        Args:
            state: The run. If it is stopped here, no epoch follows.
        """

    def on_epoch_end(self, state: RunState) -> None:
        """Run after each epoch, before its checkpoint is written.

        Args:
            state: The run; `state.row` has the figures of the epoch, with ``val_*`` if it was
                validated.
        """

    def on_fit_end(self, state: RunState) -> None:
        """Run after the last epoch, when the run's files are written.

        Args:
            state: The run; `state.best` has the figures of the epoch that was kept.
        """


class EarlyStopping(Callback):
    """Stop a run whose validation AUC has not improved for some epochs; `Recipe.patience` adds it.

    Args:
        patience: Number of epochs, from 1.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is below 1.

    Warns:
        UserWarning: If the run is validated too rarely to be stopped, as short ones of few images
            are (see `medzoo.training.fit_to_images`).
    """

    def __init__(self, patience: int) -> None:
        self.patience = as_whole("patience", patience, 1)

    def on_fit_start(self, state: RunState) -> None:
        """Stop a resumed run that was out of patience already."""
        every, epochs = state.recipe.validate_every, state.recipe.epochs
        if every > 1 and 2 * every >= epochs:  # the second validation is that of the last epoch
            warn_caller(
                f"EarlyStopping cannot end {state.name} early: validate_every={every} of "
                f"{epochs} epochs leaves no two validations before the last; set validate_every=1 "
                "in the recipe"
            )
        self.on_epoch_end(state)

    def on_epoch_end(self, state: RunState) -> None:
        """Stop if patience is used up."""
        if state.epochs_since_best >= self.patience:
            state.stop(f"no better validation AUC for {state.epochs_since_best} epochs")


class TensorBoard(Callback):
    """Write the figures of each epoch as TensorBoard events.

    Args:
        folder: Where the events go. Give each run its own folder.

    Raises:
        ValueError: If the package tensorboard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        if find_spec("tensorboard") is None:
            raise ValueError("TensorBoard needs a package: pip install 'medzoo[tensorboard]'")
        self.folder = Path(folder)
        self._writer: SummaryWriter | None = None

    def on_fit_start(self, state: RunState) -> None:
        """Open a file of events, so that a folder that cannot be written is found out now."""
        from torch.utils.tensorboard import SummaryWriter

        self.on_fit_end(state)  # of an earlier call that was interrupted
        with writing(self.folder, "TensorBoard's events"):
            # A run that is resumed replaces the events of the epochs that it repeats.
            self._writer = SummaryWriter(str(self.folder), purge_step=state.epoch + 1)

    def on_epoch_end(self, state: RunState) -> None:
        """Write one value per figure."""
        if self._writer is None:
            self.on_fit_start(state)
        assert self._writer is not None
        with writing(self.folder, "TensorBoard's events"):
            for name, value in state.row.items():
                self._writer.add_scalar(name, value, state.epoch)
            self._writer.flush()

    def on_fit_end(self, state: RunState) -> None:
        """Close the file of events."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
