"""What reads headers and metadata of unknown origin, and the only error that each may raise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import medzoo
from medzoo.deployment.description import Description
from medzoo.spec import input_of_timm
from medzoo.training import load_recipe, recipe_for
from medzoo.training.records.checkpoint import Checkpoint, load_checkpoint
from medzoo.weights.index import read_index, weights_index
from tests.fuzz.headers import damaged_archive, damaged_json


@dataclass(frozen=True)
class Case:
    """One kind of file: how a damaged one is made, how it is read, how it is refused.

    Attributes:
        make: Returns the content of the file with a number, always the same one.
        read: Reads the file.
        refusal: The errors that refuse it.
        suffix: Of its name.
        in_suite: Files that are tried in the test suite.
    """

    make: Callable[[int], bytes]
    read: Callable[[Path], object]
    refusal: tuple[type[Exception], ...]
    suffix: str
    in_suite: int = 40


def cases() -> dict[str, Case]:
    """Return all kinds of files by name."""
    data = medzoo.synthetic("dermamnist", n_train=8, n_val=8, n_test=8)
    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    description = Description.of(model).to_dict()
    recipe = recipe_for("simple_cnn", "dermamnist").to_dict()
    row = {"epoch": 1, "loss": 1.0, "val_auc": 0.5, "seconds": 1.0}
    run = {
        "progress": {"epoch": 1, "history": [row], "best_epoch": 1, "stopped": ""},
        "optimizer_numbers": {"group0.lr": 0.1},
        "fingerprint": {"recipe": recipe, "steps": 4},
    }
    name, entry = next(iter(weights_index().items()))
    index = {name: {k: v for k, v in entry.to_dict().items() if k != "name"}}
    cfg = {k: list(v) if isinstance(v, tuple) else v for k, v in model.spec.timm_config().items()}

    def text_of(values: dict[str, Any]) -> Callable[[int], bytes]:
        return lambda number: damaged_json(number, values).encode("utf8", "surrogatepass")

    def read_cfg(path: Path) -> object:
        values = json.loads(path.read_bytes())
        return input_of_timm(values if isinstance(values, dict) else {})

    return {
        ".npz": Case(damaged_archive, medzoo.load_dataset, (medzoo.DatasetError,), ".npz"),
        "checkpoint": Case(
            lambda number: Checkpoint(tensors, damaged_json(number, run)).content(),
            load_checkpoint,
            (medzoo.TrainingError,),
            ".checkpoint.safetensors",
        ),
        "recipe": Case(
            text_of(recipe),
            lambda path: load_recipe(path, "simple_cnn", "dermamnist"),
            (ValueError,),
            ".json",
        ),
        "description": Case(
            text_of(description), lambda p: Description.from_json(p.read_text()), (ValueError,), ""
        ),
        "index": Case(text_of(index), read_index, (medzoo.WeightsError,), ".json"),
        "timm": Case(text_of(cfg), read_cfg, (TypeError, ValueError, RecursionError), ".json"),
    }


def outcome(case: Case, path: Path, number: int) -> str:
    """Return ``"read"`` or ``"refused"``; anything else is the error that should not occur."""
    path = path.with_suffix(case.suffix)
    path.write_bytes(case.make(number))
    try:
        case.read(path)
    except case.refusal as error:
        return "refused" if str(error) else "refused without a word"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "read"
