"""What all tests on a GPU share.

``MEDZOO_TEST_DEVICE=cpu`` runs them on a CPU, to try the tests themselves.
"""

import os

# CUDA's library reads it once, when it is first used; tests of resuming need it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import pytest
import torch

import medzoo
from medzoo.datasets import Dataset


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU; tests that use it are skipped where there is none."""
    name = os.environ.get("MEDZOO_TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(name)


@pytest.fixture
def cuda(device: torch.device) -> torch.device:
    """The GPU, for tests that are about CUDA itself."""
    if device.type != "cuda":
        pytest.skip("needs a CUDA device")
    return device


@pytest.fixture(scope="session")
def data() -> Dataset:
    """A made-up data set. Do not change it."""
    return medzoo.synthetic("dermamnist", n_train=112, n_val=56, n_test=56)


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch):
    """No units of a GPU that round float32 to fewer digits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def deterministic():
    """Only algorithms that give the same numbers again."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
