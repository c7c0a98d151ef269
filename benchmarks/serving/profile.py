"""Show for what ``medzoo serve`` needs processors: HTTP, decoding images, or the model.

    python -m benchmarks.serving.profile 2>/dev/null    # ten seconds, on Linux

Standard error has the log of the service. Nothing is written.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from benchmarks.reporting.format import markdown_table
from benchmarks.serving.contestants import MODEL, free_port
from benchmarks.serving.images import write_images
from benchmarks.serving.measure import CLIENTS
from benchmarks.serving.wrk import check_wrk, run_wrk, write_bodies
from medzoo.serving.server import Server

_SECONDS = 4.0
_PARTS = {"MainThread": "HTTP", "medzoo-decode": "decoding", "medzoo-models": "the model"}


def main() -> None:
    """Serve the model in this process, load it from another thread, and print a table."""
    check_wrk()
    port = free_port()
    threading.Thread(target=_load, args=(port,), daemon=True).start()
    Server([MODEL], port=port).run()


def _load(port: int) -> None:
    address = f"http://127.0.0.1:{port}/v1/models/{MODEL}/predict"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bodies = write_bodies(write_images(Path(folder), 32), Path(folder))
        while not _is_ready(port):
            time.sleep(0.2)
        run_wrk(address, bodies, 1, clients=CLIENTS[-1])  # all threads have started
        for clients in CLIENTS:
            before = _nanoseconds()
            load = run_wrk(address, bodies, _SECONDS, clients=clients)
            spent = _nanoseconds() - before
            parts = (spent[part] / 1e6 / load.requests for part in _PARTS.values())
            rows.append((str(clients), *(f"{part:.2f}" for part in parts)))
    header = ("Clients", *(f"{part}, ms per image" for part in _PARTS.values()))
    print(markdown_table(header, rows), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def _is_ready(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _nanoseconds() -> Counter[str]:
    """Return the processor time of this process so far, by part."""
    spent: Counter[str] = Counter()
    names = {str(thread.native_id): thread.name for thread in threading.enumerate()}
    for task in Path("/proc/self/task").iterdir():
        name = names.get(task.name, "medzoo-models")  # others are threads of PyTorch
        for prefix, part in _PARTS.items():
            if name.startswith(prefix):
                spent[part] += int((task / "schedstat").read_text().split()[0])
    return spent


if __name__ == "__main__":
    main()
