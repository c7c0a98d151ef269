"""The files of one training run: where they are, what they hold, and which process writes them."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from medzoo.distributed import all_ranks_equal, broadcast
from medzoo.errors import TrainingError, WriteError
from medzoo.files import remove_leftovers, write_atomically, writing
from medzoo.models import save_weights
from medzoo.training.recipes.recipe import Recipe, merge
from medzoo.training.records.checkpoint import Checkpoint, load_checkpoint
from medzoo.training.records.lineage import can_be_rebuilt
from medzoo.training.records.run_lock import hold_run
from medzoo.training.state import Progress, TrainState

CHECKPOINT_SECONDS = 20.0
"""Least time from one checkpoint to the next, so that short epochs are not spent on writing."""

_LONGEST = 150  # bytes of a name: file systems take 255, with endings


class RunFiles:
    """Weights, checkpoint and history of a run, if it has a folder.

    Args:
        folder: The folder, or None: then nothing is read or written.
        name: Name of the run; `claimed` adds a number if there is a finished run of this name.
        writes: Whether this process writes; all processes may read.

    Raises:
        TypeError: If the name is not text.
        ValueError: If it cannot be a part of file names.
    """

    def __init__(self, folder: str | Path | None, name: str, *, writes: bool = True) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.name = check_name(name)
        self.writes = writes
        self._is_own = False
        self._replaced: list[Path] = []
        self._pending: Checkpoint | None = None
        self._written = -math.inf

    @property
    def weights(self) -> Path | None:
        """The weights of the best epoch, written at the end."""
        return self._path("models", ".safetensors")

    @property
    def checkpoint(self) -> Path | None:
        """All that is needed to go on, written between epochs."""
        return self._path("models", ".checkpoint.safetensors")

    @property
    def history(self) -> Path | None:
        """One line of JSON per epoch."""
        return self._path("metrics", ".jsonl")

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's events.

        Raises:
            ValueError: If the run has no folder.
        """
        if self.folder is None:
            raise ValueError("tensorboard=True needs output=, the folder for its files")
        return self.folder / "tensorboard" / self.name

    @contextmanager
    def claimed(
        self, *, resume: bool, overwrite: bool, is_source: Callable[[Path], bool] | None = None
    ) -> Iterator[None]:
        """Choose the run's name so that nothing is lost, and keep other processes from using it.

        Of the runs of this name (``run``, ``run-2``, ``run-3``, ...) the last one counts.

        Args:
            resume: Whether to take over its name if it has a checkpoint.
            overwrite: Whether to take over its name; its files are removed once there is a first
                epoch to replace them.
            is_source: Whether the run learns from a weights file.

        Raises:
            TrainingError: If it has not finished and neither is given, another process or thread
                is training a run of this name, or `overwrite` would remove a source.
            WriteError: If its files cannot be written.
        """
        if self.folder is None:
            yield
            return
        with ExitStack() as until_the_end:
            problem: Exception | None = None
            if self.writes:
                try:
                    until_the_end.enter_context(hold_run(self.folder, self.name))
                    if not self._is_own and self._choose_name(resume, overwrite, is_source):
                        until_the_end.enter_context(hold_run(self.folder, self.name))
                    self._check_writable()
                except (TrainingError, OSError) as error:
                    problem = error
            # The others would wait forever for a process that has raised an error alone.
            self.name, problem = broadcast((self.name, problem))
            if problem is not None:
                raise problem
            self._is_own = True  # a Trainer whose `fit` is called again goes on with its own run
            yield

    def _check_writable(self) -> None:
        """Make sure that all files can be written, and remove what killed processes left."""
        for path in self._paths():
            with writing(path, "a file of the run"):
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                with TemporaryFile(dir=path.parent):
                    pass
            remove_leftovers(path)

    def _choose_name(
        self, resume: bool, overwrite: bool, is_source: Callable[[Path], bool] | None
    ) -> bool:
        """Set the name; return whether it got a number."""
        given, latest = self.name, None
        for free in chain([self], map(self._numbered, count(2))):
            if not free._exists():
                break
            latest = free
        if latest is not None and (overwrite or (resume and latest._has_checkpoint())):
            free = latest
            if overwrite:
                if is_source is not None:
                    latest._check_is_no_source(is_source)
                events = latest.tensorboard.glob("events.out.tfevents.*")
                self._replaced = [*latest._paths(), *events]
        elif latest is not None and (done := latest._unfinished()) is not None:
            raise TrainingError(
                f"{latest.checkpoint} is of a run that ended early ({done}); go on with "
                "resume=True (--resume), or start it again with overwrite=True (--overwrite)"
            )
        self.name = free.name
        return self.name != given

    def _check_is_no_source(self, is_source: Callable[[Path], bool]) -> None:
        """Refuse to be replaced by a run that starts from these weights or is taught by them."""
        if self.weights is not None and self.weights.exists() and is_source(self.weights):
            raise TrainingError(
                f"overwrite=True (--overwrite) would remove {self.weights}, from which this run "
                "learns, as backbone or teacher; give another name, seed or output folder"
            )

    def _numbered(self, number: int) -> RunFiles:
        numbered = copy(self)
        numbered.name = f"{self.name}-{number}"
        return numbered

    def _exists(self) -> bool:
        return any(path.exists() for path in self._paths())

    def _has_checkpoint(self) -> bool:
        return self.checkpoint is not None and self.checkpoint.exists()

    def _unfinished(self) -> str | None:
        """Return how far the run came, or None if it is finished."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        try:
            state, fingerprint = load_checkpoint(self.checkpoint)
        except TrainingError:
            return "it cannot be read"
        progress = Progress(**state["progress"])
        epochs = fingerprint["recipe"].get("epochs", Recipe().epochs)
        return None if progress.is_finished(epochs) else f"epoch {progress.epoch} of {epochs}"

    def restore(self, state: TrainState, fingerprint: Mapping[str, Any]) -> bool:
        """Take over the last checkpoint, if there is one.

        Args:
            state: The state of this run.
            fingerprint: The fingerprint of this run, which the interrupted run has to share.

        Returns:
            Whether there is one.

        Raises:
            TrainingError: If it is damaged or belongs to another run, or not all processes see the
                same. The model is then unchanged.
        """
        path = self.checkpoint
        values, found = load_checkpoint(path) if path and path.exists() else ({}, {})
        if not all_ranks_equal(values["progress"]["epoch"] if values else 0):
            raise TrainingError(
                f"the processes do not all see the same {path}; output= must be a folder that all "
                "machines share"
            )
        if not values:
            return False
        wanted = json.loads(json.dumps(fingerprint))
        # A checkpoint that is older than a field of recipes was trained by the field's default.
        found |= {"recipe": merge(Recipe().to_dict(), found["recipe"])}
        if found["recipe"]["class_weights"] == "none":  # older ones weighed them in another way
            about = {key: wanted["data"][key] for key in ("task", "classes")}
            found |= {"data": about | found["data"]}
        other = [key for key in wanted | found if wanted.get(key) != found.get(key)]
        again = "start again with overwrite=True (--overwrite) or under another name"
        if other:
            raise TrainingError(
                f"checkpoint {path} belongs to another run (other {', '.join(other)}); resume with "
                f"the same, or {again}"
            )
        try:
            state.load_state_dict(values)
        except ValueError as error:
            raise TrainingError(
                f"checkpoint {path} does not fit this run ({error}); {again}"
            ) from error
        return True

    def write(
        self, state: TrainState, fingerprint: Mapping[str, Any], *, last: bool = False
    ) -> None:
        """Write history and checkpoint after an epoch; soon after the last ones, keep them only.

        Args:
            state: The state of this run.
            fingerprint: The fingerprint of this run.
            last: Whether no epoch follows, so that they are written in any case.

        Raises:
            WriteError: If they cannot be written.
        """
        if not self.writes or self.folder is None:
            return
        self._pending = Checkpoint.of(state.state_dict(), fingerprint)
        if last or time.monotonic() - self._written >= CHECKPOINT_SECONDS:
            self.flush()
        else:
            self._pending = self._pending.copied()

    @contextmanager
    def flushed_if_it_fails(self) -> Iterator[None]:
        """Write what `write` kept if the block raises an error or is interrupted."""
        try:
            yield
        except BaseException:
            self.flush()
            raise

    def flush(self) -> None:
        """Write what `write` kept, if anything.

        Raises:
            WriteError: If it cannot be written.
        """
        if self._pending is None or self.history is None or self.checkpoint is None:
            return
        while self._replaced:  # the files of the run that this one replaces
            self._replaced[-1].unlink(missing_ok=True)
            self._replaced.pop()
        try:
            # In this order, since a history without a checkpoint is that of another run.
            write_atomically(self.checkpoint, self._pending.content(), "the checkpoint")
            write_atomically(self.history, self._pending.history().encode(), "the history")
        except WriteError:
            self._pending = None  # it would fail again
            raise
        self._pending, self._written = None, time.monotonic()

    def write_weights(self, model: Any, training: dict[str, Any]) -> Path | None:
        """Write the weights of a finished run, if medzoo can build the model again.

        Args:
            model: The model.
            training: How the run went.

        Returns:
            The file, also where another process writes it; None if there is none.
        """
        if self.weights is None or not can_be_rebuilt(model):
            return None
        if self.writes:
            save_weights(model, self.weights, training=training)
        return self.weights

    def _paths(self) -> list[Path]:
        return [path for path in (self.history, self.checkpoint, self.weights) if path is not None]

    def _path(self, kind: str, suffix: str) -> Path | None:
        return self.folder / kind / f"{self.name}{suffix}" if self.folder else None


def default_name(architecture: str, seed: int) -> str:
    """Return the name of a run that was given none.

    Args:
        architecture: Name of the architecture, or of the model's class.
        seed: The recipe's.
    """
    plain = re.sub(r"[^\w.+-]", "_", architecture).lstrip(".")
    return f"{plain[:100]}-seed{seed}"


def check_name(name: str) -> str:
    """Return the name of a run after making sure that it can be a part of file names.

    Args:
        name: The name.

    Raises:
        TypeError: If it is not text.
        ValueError: If it is a path, or has characters that not all systems allow in file names.
    """
    if not isinstance(name, str):
        raise TypeError(f"name={name!r:.80} is a {type(name).__name__}, expected text")
    usable = name.isprintable() and not re.search(r'[/\\:*?"<>|]|^[. ]|[. ]$|^$', name)
    if not usable or name.endswith(".checkpoint") or len(name.encode()) > _LONGEST:
        raise ValueError(
            f"name={name!r:.200} cannot name the files of a run; give letters, digits, '-' and "
            f"'_', at most {_LONGEST}, without a folder (that is output=)"
        )
    return name
