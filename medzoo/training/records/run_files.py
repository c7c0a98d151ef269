"""The files of one training run: where they are, what they hold, and which process writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from medzoo.distributed import all_ranks_equal, broadcast
from medzoo.errors import TrainingError
from medzoo.files import parse_json, regular_file, write_atomically
from medzoo.models import save_weights
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.records.lineage import can_be_rebuilt
from medzoo.training.state import Progress


class RunFiles:
    """Weights, checkpoint and history of a run, if it has a folder.

    Args:
        folder: The folder, or None: then nothing is read or written.
        name: Name of the run; `claimed` adds a number if there is a finished run of this name.
        writes: Whether this process writes; all processes may read.
    """

    def __init__(self, folder: str | Path | None, name: str, *, writes: bool = True) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.name = name
        self.writes = writes
        self._is_own = False
        self._replaces = False

    @property
    def weights(self) -> Path | None:
        """The weights of the best epoch, written at the end."""
        return self._path("models", ".safetensors")

    @property
    def checkpoint(self) -> Path | None:
        """All that is needed to go on, written after every epoch."""
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
    def claimed(self, *, resume: bool, overwrite: bool) -> Iterator[None]:
        """Choose the run's name so that nothing is lost, and keep other processes from using it.

        Of the runs of this name (``run``, ``run-2``, ``run-3``, ...) the last one counts.

        Args:
            resume: Whether to take over its name if it has a checkpoint.
            overwrite: Whether to take over its name; its files are removed once there is a first
                epoch to replace them.

        Raises:
            TrainingError: If it has not finished and neither is given, or another process is
                training a run of this name.
        """
        if self.folder is None:
            yield
            return
        with ExitStack() as until_the_end:
            problem = ""
            if self.writes:
                try:
                    until_the_end.enter_context(self._locked())
                    if not self._is_own and self._choose_name(resume, overwrite):
                        until_the_end.enter_context(self._locked())
                except Timeout:
                    problem = (
                        f"another process is training {self.name} in {self.folder} now; wait for "
                        "it, or give another name, seed or output folder"
                    )
                except (TrainingError, OSError) as error:
                    problem = str(error)
            # The others would wait forever for a process that has raised an error alone.
            self.name, problem = broadcast((self.name, problem))
            if problem:
                raise TrainingError(problem)
            self._is_own = True  # a Trainer whose `fit` is called again goes on with its own run
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the run's name without waiting; the system unlocks it if the process dies."""
        assert self.folder is not None
        path = self.folder / "models" / f".{self.name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path, timeout=0):
            try:
                yield
            finally:
                with suppress(OSError):  # Windows removes no open file
                    path.unlink()

    def _choose_name(self, resume: bool, overwrite: bool) -> bool:
        """Set the name; return whether it got a number."""
        given, latest = self.name, None
        for free in chain([self], map(self._numbered, count(2))):
            if not free._exists():
                break
            latest = free
        if latest is not None and (overwrite or (resume and latest._has_checkpoint())):
            self._replaces = overwrite
            free = latest
        elif latest is not None and (done := latest._unfinished()) is not None:
            raise TrainingError(
                f"{latest.checkpoint} is of a run that ended early ({done}); go on with "
                "resume=True (--resume), or start it again with overwrite=True (--overwrite)"
            )
        self.name = free.name
        return self.name != given

    def _numbered(self, number: int) -> RunFiles:
        return RunFiles(self.folder, f"{self.name}-{number}")

    def _exists(self) -> bool:
        return self._has_checkpoint() or (self.weights is not None and self.weights.exists())

    def _has_checkpoint(self) -> bool:
        return self.checkpoint is not None and self.checkpoint.exists()

    def _unfinished(self) -> str | None:
        """Return how far the run came, or None if it is finished."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        try:
            progress, fingerprint = read_progress(self.checkpoint)
        except TrainingError:
            return "it cannot be read"
        epochs = fingerprint.get("recipe", {}).get("epochs", Recipe().epochs)
        return None if progress.is_finished(epochs) else f"epoch {progress.epoch} of {epochs}"

    def _remove(self) -> None:
        """Remove what the run that is replaced has written."""
        for path in (self.weights, self.checkpoint, self.history):
            if path is not None:
                path.unlink(missing_ok=True)

    def read(self, fingerprint: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
        """Read the last checkpoint.

        Args:
            fingerprint: The fingerprint of this run, which the interrupted run has to share.

        Returns:
            What `TrainState.state_dict` gave; None if there is no checkpoint.

        Raises:
            TrainingError: If it is damaged or belongs to another run, or not all processes see the
                same.
        """
        path = self.checkpoint
        state, found = load_checkpoint(path) if path and path.exists() else ({}, {})
        if not all_ranks_equal(state["progress"]["epoch"] if state else 0):
            raise TrainingError(
                f"the processes do not all see the same {path}; output= must be a folder that all "
                "machines share"
            )
        if not state:
            return None
        wanted = json.loads(json.dumps(fingerprint))
        # A checkpoint that is older than a field of recipes was trained by the field's default.
        found |= {"recipe": Recipe().to_dict() | found.get("recipe", {})}
        other = [key for key in wanted | found if wanted.get(key) != found.get(key)]
        if other:
            raise TrainingError(
                f"checkpoint {path} belongs to another run (other {', '.join(other)}); resume with "
                "the same, or start again with overwrite=True (--overwrite) or under another name"
            )
        return state

    def write(self, state: Mapping[str, Mapping[str, Any]], fingerprint: Mapping[str, Any]) -> None:
        """Write history and checkpoint after an epoch.

        Args:
            state: What `TrainState.state_dict` gave.
            fingerprint: The fingerprint of this run.
        """
        if not self.writes or self.history is None or self.checkpoint is None:
            return
        if self._replaces:
            self._remove()
            self._replaces = False
        lines = "".join(json.dumps(row) + "\n" for row in state["progress"]["history"])
        write_atomically(self.history, lines.encode(), "the history")
        save_checkpoint(self.checkpoint, state, fingerprint)

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

    def _path(self, kind: str, suffix: str) -> Path | None:
        return self.folder / kind / f"{self.name}{suffix}" if self.folder else None


def save_checkpoint(
    path: Path, state: Mapping[str, Mapping[str, Any]], fingerprint: Mapping[str, Any]
) -> None:
    """Write the state of a run into one safetensors file, atomically.

    Args:
        path: The file.
        state: What `TrainState.state_dict` gave. Tensors are stored as ``group/name``, the
            progress as JSON in the file's header.
        fingerprint: The fingerprint of the run, kept in the header as well.
    """
    tensors = {
        f"{group}/{name}": tensor.detach().contiguous()
        for group, named in state.items()
        if group != "progress"
        for name, tensor in named.items()
    }
    header = {**state["progress"], "identity": fingerprint}
    content = save(tensors, {"progress": json.dumps(header)})
    write_atomically(path, content, "the checkpoint")


def load_checkpoint(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.

    Returns:
        The state and the fingerprint of the run.

    Raises:
        TrainingError: If the file is damaged.
    """
    with _opened(path) as (file, progress, fingerprint):
        state: dict[str, dict[str, Any]] = {"progress": progress}
        for key in file.keys():  # noqa: SIM118
            group, _, name = key.partition("/")
            state.setdefault(group, {})[name] = file.get_tensor(key)
        return state, fingerprint


def read_progress(path: Path) -> tuple[Progress, dict[str, Any]]:
    """Read how far the run of a checkpoint came, without its tensors.

    Args:
        path: The file.

    Returns:
        The progress and the fingerprint of the run.

    Raises:
        TrainingError: If the file is damaged.
    """
    with _opened(path) as (_, progress, fingerprint):
        return _progress(progress), fingerprint


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Open a checkpoint and read progress and fingerprint; any error is one of the file."""
    try:
        with safe_open(regular_file(path), framework="pt") as file:
            progress = dict(parse_json(file.metadata()["progress"]))
            fingerprint = dict(progress.pop("identity"))
            _progress(progress)  # all fields are known
            yield file, progress, fingerprint
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"checkpoint {path} cannot be read ({error}); delete it to start the run again"
        ) from error


def _progress(values: Mapping[str, Any]) -> Progress:
    return Progress(**{name: value for name, value in values.items() if name != "optimizer"})
