"""What a person sees of a search: a bar that moves, or a line for each trial."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from tqdm.auto import tqdm

from medzoo.escape import for_display
from medzoo.search.goals import Goal
from medzoo.search.result import TrialRecord, is_duplicate
from medzoo.training import Callback, RunState


class SearchDisplay(Callback, AbstractContextManager["SearchDisplay"]):
    """The progress of a search, on standard error.

    Args:
        trials: Number of trials of the whole search; None if only its time is limited.
        done: Number of trials that were finished before.
        seconds: Time that is left; None if only the number of trials is limited.
        shown: True for a progress bar, False for nothing; None for a bar on a terminal and in
            Jupyter, and a line per trial elsewhere.
    """

    def __init__(
        self, trials: int | None, done: int, seconds: float | None, shown: bool | None
    ) -> None:
        self._trials, self._seconds = trials, seconds
        self._bar = tqdm(
            total=trials if trials is not None else round(seconds or 0),
            initial=done if trials is not None else 0,
            desc="search",
            unit="trial" if trials is not None else "s",
            disable=None if shown is None else not shown,
            file=sys.stderr,
        )
        self._lines = shown is None and self._bar.disable
        self._began, self._done = time.monotonic(), 0
        self._note = ""

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def on_epoch_end(self, state: RunState) -> None:
        """Show how far the training of a trial is."""
        where = f"epoch {state.epoch}/{state.recipe.epochs}"
        self._bar.set_postfix_str(", ".join(filter(None, (where, self._note))), refresh=False)
        if self._trials is None:
            self._bar.n = min(self._bar.total, round(time.monotonic() - self._began))
        self._bar.refresh()

    def trial(
        self, trial: TrialRecord, best: TrialRecord | None, finished: int, goals: Sequence[Goal]
    ) -> None:
        """Show a trial that has ended.

        Args:
            trial: The trial.
            best: The best one so far, if there is one.
            finished: Number of finished trials, those of other processes included.
            goals: The objectives.
        """
        self._done += 1
        self._note = "" if best is None else f"best {_scores(best, goals)} (trial {best.number})"
        if self._trials is not None:
            self._bar.n = min(self._trials, finished)
        self._bar.refresh()
        if not self._lines:
            return
        outcome = _scores(trial, goals) if trial.values else f"{trial.state}: {trial.reason}"
        if is_duplicate(trial):
            outcome += f" ({trial.reason})"
        parts = [
            f"trial {trial.number}: {trial.model} {outcome}".replace("  ", " "),
            f"{trial.seconds:.1f} s",
            self._note,
            f"{tqdm.format_interval(self._left(finished))} left",
        ]
        print(for_display(", ".join(filter(None, parts))), file=sys.stderr, flush=True)

    def waiting(self, trials: Sequence[int], grace: float) -> None:
        """Say that nothing is left to do but to wait for other processes.

        Args:
            trials: Numbers of the trials that are running.
            grace: Seconds of silence after which a process counts as dead.
        """
        if self._lines or not self._bar.disable:
            tqdm.write(
                f"waiting for trial {', '.join(map(str, trials))}; if its process has ended, the "
                f"trial is repeated after {grace:.0f} s without a sign of life",
                file=sys.stderr,
            )

    def _left(self, finished: int) -> float:
        """Return the seconds that are left, by the limit that comes first."""
        spent = time.monotonic() - self._began
        left = [] if self._seconds is None else [self._seconds - spent]
        if self._trials is not None:
            left.append((self._trials - finished) * spent / self._done)
        return max(0.0, min(left))


def _scores(trial: TrialRecord, goals: Sequence[Goal]) -> str:
    return ", ".join(f"{goal} {trial.values[goal]:.4g}" for goal in goals)
