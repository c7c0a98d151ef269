"""Odd names of models, data sets and recipes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import medzoo
from medzoo.training import load_recipe
from tests.fuzz.readers import Case

_NAMES = ("simple_cnn.dermamnist", "advanced_cnn", "octmnist", "default", "simple_cnn.octmnist")
_PARTS = ("", ".", "..", "/", "\\", "\0", "~", "*", "[", " ", "\n", "é", "\U0001f9ea", "x" * 5000)
_PARTS += ("CNN", "mnist", "_", "-", "1", "%s", "{}", ".safetensors", ".npz", ".onnx", ".json")


def cases() -> dict[str, Case]:
    """Return the kinds of texts by name."""
    refusal = (ValueError, OSError, medzoo.DatasetError, medzoo.WeightsError)
    return {
        "names": Case(lambda n: _odd_name(n).encode("utf8"), _use_name, refusal, "", in_suite=12),
    }


def _odd_name(number: int) -> str:
    rng = np.random.default_rng([7, number])
    name = _NAMES[rng.integers(len(_NAMES))]
    for _ in range(rng.integers(1, 4)):
        start, stop = np.sort(rng.integers(len(name) + 1, size=2))
        name = name[:start] + _PARTS[rng.integers(len(_PARTS))] + name[stop:]
    return name


def _use_name(path: Path) -> object:
    name = path.read_text("utf8")
    uses = (medzoo.create_model, medzoo.dataset_info, lambda name: load_recipe(name, "a", "b"))
    return uses[len(name) % len(uses)](name)
