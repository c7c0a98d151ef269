"""The checkpoint of a run: a safetensors file that proves to be as it was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from medzoo.errors import TrainingError
from medzoo.files import parse_json, regular_file
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.records.fingerprint import digest_of
from medzoo.training.state import Progress
from medzoo.weights.safetensors_header import read_safetensors_header

_KEY = "medzoo"  # of the only entry in the file's metadata
_MAX_HEADER = 100_000_000  # bytes; safetensors reads no more
_NUMBERS = ("progress", "optimizer_numbers")  # groups of a state that hold no tensors


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after an epoch, as a file holds it.

    Attributes:
        tensors: What `TrainState.state_dict` gave, as ``group/name``.
        header: Progress and fingerprint of the run, as JSON.
    """

    tensors: dict[str, Tensor]
    header: str

    @classmethod
    def of(
        cls, state: Mapping[str, Mapping[str, Any]], fingerprint: Mapping[str, Any]
    ) -> Checkpoint:
        """Describe the state of a run; it shares the tensors.

        Args:
            state: What `TrainState.state_dict` gave.
            fingerprint: The fingerprint of the run.

        Raises:
            TypeError: If a value is not JSON-safe.
        """
        tensors = {
            f"{group}/{name}": tensor.detach()
            for group, named in state.items()
            if group not in _NUMBERS
            for name, tensor in named.items()
        }
        numbers = {group: state[group] for group in _NUMBERS}
        try:
            return cls(tensors, json.dumps(numbers | {"fingerprint": fingerprint}))
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                f"the history or an argument of the model cannot be written as JSON ({error}); "
                "use numbers, text and lists there, or leave output= out"
            ) from error

    def copied(self) -> Checkpoint:
        """Return one that later steps of the run do not change, on the CPU."""
        return Checkpoint(
            {name: tensor.to("cpu", copy=True) for name, tensor in self.tensors.items()},
            self.header,
        )

    def history(self) -> str:
        """Return the rows of the history, a line of JSON each."""
        return "".join(
            json.dumps(row) + "\n" for row in json.loads(self.header)["progress"]["history"]
        )

    def content(self) -> bytes:
        """Return the content of the file."""
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        # One entry only: safetensors writes several in random order.
        entry = {"header": self.header, "digest": _digest(tensors, self.header)}
        return save(tensors, {_KEY: json.dumps(entry)})


def load_checkpoint(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Read the file of a `Checkpoint`.

    Args:
        path: The file.

    Returns:
        What `TrainState.state_dict` gave, and the fingerprint of the run.

    Raises:
        TrainingError: If a bit of it has changed, or it is not a checkpoint.
    """
    try:
        with regular_file(path).open("rb") as file:  # once: a run may replace it meanwhile
            _, values = read_safetensors_header(file, _MAX_HEADER)
            file.seek(0)
            tensors = load(file.read())
        entry = parse_json(values["__metadata__"][_KEY])
        if entry["digest"] != _digest(tensors, entry["header"]):
            raise ValueError("its content differs from its digest")
        numbers = parse_json(entry["header"])
        fingerprint = numbers.pop("fingerprint")
        Progress(**numbers["progress"]).check(fingerprint["recipe"].get("epochs", Recipe().epochs))
    except (SafetensorError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise TrainingError(
            f"checkpoint {path} cannot be read ({why:.200}); start the run again with "
            "overwrite=True (--overwrite)"
        ) from error
    state: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        group, _, name = key.partition("/")
        state.setdefault(group, {})[name] = tensor
    return state | numbers, fingerprint


def _digest(tensors: Mapping[str, Tensor], header: str) -> str:
    named = sorted(tensors.items())
    shapes = [[name, str(tensor.dtype), list(tensor.shape)] for name, tensor in named]
    return digest_of((tensor for _, tensor in named), [header, shapes])
