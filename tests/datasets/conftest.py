"""Fixtures for files: an archive writer and a small web server."""

import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from medzoo.datasets import Dataset, load_dataset, read_groups

COUNTS = {"train": 6, "val": 3, "test": 4}


def make_arrays(shape=(8, 8), classes=2, **changes):
    """Six arrays as in a MedMNIST file; a change of None leaves a key out."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in COUNTS.items():
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, *shape), np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % classes).astype(np.uint8)[:, None]
    arrays |= changes
    return {key: value for key, value in arrays.items() if value is not None}


@pytest.fixture
def write_npz(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes an .npz file of `make_arrays` and returns its path."""

    def write(name: str = "own.npz", **options) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **make_arrays(**options))
        return path

    return write


class Server(ThreadingHTTPServer):
    """Serves ``pages``: path to (status, claimed length or None, body)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, tuple[int, int | None, bytes]] = {}
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        status, length, body = self.server.pages.get(self.path, (404, None, b"no such page"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def derma_lesions(data_root: Path) -> tuple[Dataset, list[str]]:
    """DermaMNIST, and the lesion that each of its images shows."""
    table = data_root / "dermamnist_lesions.csv"
    if not table.exists():
        pytest.skip("needs dermamnist_lesions.csv in MEDZOO_DATA")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = load_dataset("dermamnist", root=data_root, download=False)
    return whole, read_groups(table, whole, "lesion_id")
