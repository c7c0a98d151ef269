"""The files of one training run: where they are, what they hold, and which process writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from medzoo.distributed import all_ranks_equal
from medzoo.errors import TrainingError
from medzoo.files import parse_json, regular_file, write_atomically
from medzoo.models import save_weights
from medzoo.training.recipe import Recipe
from medzoo.training.records.lineage import can_be_rebuilt
from medzoo.training.state import Progress


class RunFiles:
    """Weights, checkpoint and history of a run, if it has a folder.

    Args:
        folder: The folder, or None: then nothing is read or written.
        name: Name of the run.
        writes: Whether this process writes; all processes may read.
    """

    def __init__(self, folder: str | Path | None, name: str, *, writes: bool = True) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.name = name
        self.writes = writes

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
                "the same, or delete the checkpoint to start again"
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
    state: dict[str, dict[str, Any]] = {}
    try:
        with safe_open(regular_file(path), framework="pt") as file:
            progress = dict(parse_json(file.metadata()["progress"]))
            fingerprint = dict(progress.pop("identity"))
            Progress(**{k: v for k, v in progress.items() if k != "optimizer"})  # all are known
            for key in file.keys():  # noqa: SIM118
                group, _, name = key.partition("/")
                state.setdefault(group, {})[name] = file.get_tensor(key)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"checkpoint {path} cannot be read ({error}); delete it to start the run again"
        ) from error
    return state | {"progress": progress}, fingerprint
