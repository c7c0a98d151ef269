"""What a person sees of a run: a bar that moves, or a line for each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from medzoo.distributed import rank
from medzoo.errors import TrainingInterrupted


class ProgressDisplay(AbstractContextManager["ProgressDisplay"]):
    """The progress of a run, on standard error; only process 0 shows it.

    Args:
        name: Name of the run.
        epochs: Number of epochs that were finished before, and of the whole run.
        steps: Number of steps before and of the whole run.
        shown: True for a progress bar, False for nothing. None decides by where the output goes:
            a bar on a terminal and in Jupyter, a line per epoch in a file or pipe, where a bar
            would be unreadable.
    """

    def __init__(
        self, name: str, epochs: tuple[int, int], steps: tuple[int, int], shown: bool | None
    ) -> None:
        hidden = True if rank() else None if shown is None else not shown
        self._bar = tqdm(
            total=steps[1],
            initial=steps[0],
            desc=name,
            unit="step",
            disable=hidden,
            file=sys.stderr,
        )
        self._lines = shown is None and rank() == 0 and self._bar.disable
        self._name, (self._done, self._epochs) = name, epochs
        self._began = self._last = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def step(self) -> None:
        """Show that a step is done."""
        self._bar.update()

    def epoch(self, row: Mapping[str, Any], best: Mapping[str, Any] | None) -> None:
        """Show the figures of an epoch that is done.

        Args:
            row: Its figures, as in `Run.history`.
            best: Those of the best epoch so far; None before the first validation.
        """
        score = f", best val AUC {best['val_auc']:.4f}" if best else ""
        self._bar.set_postfix_str(f"loss {row['loss']:.3f}{score}", refresh=False)
        if not self._lines:
            return
        now, number = time.perf_counter(), row["epoch"]
        each = (now - self._began) / (number - self._done)
        parts = [
            f"{self._name}: epoch {number}/{self._epochs}",
            f"loss {row['loss']:.4f}",
            *([f"val AUC {row['val_auc']:.4f}"] if "val_auc" in row else []),
            f"{now - self._last:.1f} s",
            f"{tqdm.format_interval((self._epochs - number) * each)} left",
        ]
        self._last = now
        print(", ".join(parts), file=sys.stderr, flush=True)


def interrupted(name: str, epoch: int, epochs: int, checkpoint: Path | None) -> TrainingInterrupted:
    """Build the exception for a run that the user interrupted; it says how to go on.

    Args:
        name: Name of the run.
        epoch: Number of finished epochs.
        epochs: Number of epochs of the whole run.
        checkpoint: The file of the last finished epoch, if the run writes files.
    """
    what = f"{name} was interrupted in epoch {min(epoch + 1, epochs)} of {epochs}"
    if checkpoint is None:
        how = "nothing was saved: give output=, a folder, to be able to resume"
    elif not epoch:
        how = "nothing was saved yet"
    else:
        what += f"; {checkpoint} holds epoch {epoch}"
        how = "go on from there with the same call and resume=True"
    return TrainingInterrupted(what, bool(checkpoint and epoch), how)
