"""Odd names of models, data sets and recipes, and damaged reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import medzoo
from medzoo.evaluation.report import Report
from medzoo.files import parse_json
from medzoo.training import load_recipe
from tests.fuzz.headers import damaged_json
from tests.fuzz.readers import Case

_NAMES = ("simple_cnn.dermamnist", "advanced_cnn", "octmnist", "default", "simple_cnn.octmnist")
_PARTS = ("", ".", "..", "/", "\\", "\0", "~", "*", "[", " ", "\n", "é", "\U0001f9ea", "x" * 5000)
_PARTS += ("CNN", "mnist", "_", "-", "1", "%s", "{}", ".safetensors", ".npz", ".onnx", ".json")


def cases() -> dict[str, Case]:
    """Return the kinds of texts by name."""
    data = medzoo.synthetic("breastmnist", n_train=8, n_val=8, n_test=8)
    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    report = medzoo.evaluate(model, data.test, resamples=0, device="cpu").to_dict()
    refusal = (ValueError, OSError, medzoo.DatasetError, medzoo.WeightsError)
    return {
        "names": Case(lambda n: _odd_name(n).encode("utf8"), _use_name, refusal, "", in_suite=12),
        "report": Case(
            lambda n: damaged_json(n, report).encode("utf8", "surrogatepass"),
            _read_report,
            (ValueError,),
            ".json",
        ),
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


def _read_report(path: Path) -> object:
    return Report.from_dict(parse_json(path.read_bytes()))
