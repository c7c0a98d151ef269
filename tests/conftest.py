"""Fixtures that all tests share: real data where present, and made-up data."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from medzoo.datasets import Dataset, synthetic
from tests.hub_server import HubServer


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through all that was imported, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real MedMNIST files."""
    root = os.environ.get("MEDZOO_DATA")
    if not root:
        pytest.skip("needs real data: set MEDZOO_DATA to a folder of MedMNIST files")
    if not Path(root).is_dir():
        pytest.skip(f"needs real data: MEDZOO_DATA={root} is not there")
    return Path(root)


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    """A made-up data set (7 classes, RGB, 28 px) of a few dozen images. Do not change it."""
    return synthetic("dermamnist", n_train=56, n_val=28, n_test=28)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """A Hub on this machine, which huggingface_hub takes for the real one; an empty cache."""
    with HubServer() as server, server.in_place_of_the_real_one(tmp_path / "huggingface"):
        yield server


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Set how many threads PyTorch computes with; what they were returns after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
