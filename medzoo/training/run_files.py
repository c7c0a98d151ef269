"""The files of one training run: where they are, and who writes them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from medzoo.errors import TrainingError
from medzoo.files import write_atomically
from medzoo.spec import find_spec
from medzoo.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from medzoo.training.recipe import Recipe
from medzoo.weights import save_weights


class RunFiles:
    """Weights, checkpoint, history and TensorBoard events of a run, if it has a folder.

    Args:
        folder: The folder, or None: then nothing is read or written.
        name: Of the run.
        tensorboard: Also write TensorBoard events.
        writes: Whether this process is the one that writes; all may read.

    Raises:
        ValueError: If there is no folder for TensorBoard's events, or no package to write them.
    """

    def __init__(
        self,
        folder: str | Path | None,
        name: str,
        *,
        tensorboard: bool = False,
        writes: bool = True,
    ) -> None:
        if tensorboard and (folder is None or importlib.util.find_spec("tensorboard") is None):
            raise ValueError(
                "tensorboard=True needs output=, the folder for its files, and the package: "
                "pip install 'medzoo[tensorboard]'"
            )
        self.folder = Path(folder) if folder is not None else None
        self.name = name
        self.tensorboard = tensorboard
        self.writes = writes

    @property
    def weights(self) -> Path | None:
        """The weights of the best epoch, written at the end."""
        return self._path("models", ".safetensors")

    @property
    def checkpoint(self) -> Path | None:
        """What is needed to go on, written every epoch."""
        return self._path("models", ".checkpoint.safetensors")

    @property
    def history(self) -> Path | None:
        """One line of JSON an epoch."""
        return self._path("metrics", ".jsonl")

    def read(
        self, identity: dict[str, Any]
    ) -> tuple[dict[str, dict[str, Tensor]], Progress] | None:
        """Read the last checkpoint.

        Args:
            identity: What the interrupted run must share with this one, by name.

        Returns:
            Its tensors in groups, and its progress; None if there is none.

        Raises:
            TrainingError: If it is damaged, or of another run.
        """
        path = self.checkpoint
        if path is None or not path.exists():
            return None
        groups, progress = load_checkpoint(path)
        wanted = json.loads(json.dumps(identity))
        # A checkpoint that is older than a field of recipes was trained by the field's default.
        recipe = Recipe().to_dict() | progress.identity.get("recipe", {})
        found = progress.identity | {"recipe": recipe}
        other = [key for key, value in wanted.items() if found.get(key) != value]
        if other:
            raise TrainingError(
                f"checkpoint {path} belongs to another run (other {', '.join(other)}); resume with "
                "the same, or delete the checkpoint to start anew"
            )
        return groups, progress

    def write(self, groups: dict[str, dict[str, Tensor]], progress: Progress) -> None:
        """Write history, checkpoint and events after an epoch.

        Args:
            groups: Named groups of named tensors.
            progress: How far the run has come.
        """
        if not self.writes or self.history is None or self.checkpoint is None:
            return
        lines = "".join(json.dumps(row) + "\n" for row in progress.history)
        write_atomically(self.history, lines.encode())
        save_checkpoint(self.checkpoint, groups, progress)
        if self.tensorboard and self.folder:
            from torch.utils.tensorboard import SummaryWriter

            row = progress.history[-1]
            with SummaryWriter(str(self.folder / "tensorboard" / self.name)) as writer:
                for key, value in row.items():
                    writer.add_scalar(key, value, row["epoch"])

    def write_weights(self, model: Any, training: dict[str, Any]) -> Path | None:
        """Write the weights of a finished run, if the model is one that medzoo can make again.

        Args:
            model: The model.
            training: How the run went.

        Returns:
            The file, also where another process writes it; None if there is none.
        """
        spec = find_spec(model)
        if self.weights is None or spec is None or not spec.architecture:
            return None
        if self.writes:
            save_weights(model, self.weights, training=training)
        return self.weights

    def _path(self, kind: str, suffix: str) -> Path | None:
        return self.folder / kind / f"{self.name}{suffix}" if self.folder else None
