"""Small weights to publish."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import medzoo
from medzoo.files import sha256_of
from medzoo.models import save_weights
from medzoo.weights import WeightsEntry, find, weights_index, write_index

TRAINING = {
    "data": {"file": "dermamnist.npz", "md5": "0" * 32, "official": False, "note": "rebuilt"},
    "recipe": {"epochs": 3, "seed": 7},
}
NAMES = ("advanced_cnn.dermamnist", "efficientnet.dermamnist", "simple_cnn.dermamnist")


@pytest.fixture(scope="session")
def model():
    torch.manual_seed(0)
    return medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 8, 16)).eval()


@pytest.fixture(scope="session")
def file(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    return save_weights(model, path, training=TRAINING)


@pytest.fixture
def entry(file) -> WeightsEntry:
    """What the index would say of the small file."""
    real = weights_index()["simple_cnn.dermamnist"]
    return replace(real, file=file.name, sha256=sha256_of(file), bytes=file.stat().st_size)


@pytest.fixture
def index(file, entry, tmp_path, monkeypatch) -> Path:
    """An index of three weights, whose files are all the small one."""
    package = tmp_path / "package"
    (package / "files").mkdir(parents=True)
    (package / "files" / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(find, "BUNDLED", package / "files")
    entries = {name: replace(entry, name=name) for name in NAMES}
    return write_index(entries, tmp_path / "index.json")
