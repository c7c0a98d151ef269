"""A lock on the name of a run, which the system frees when the process that holds it dies."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from medzoo.errors import TrainingError
from medzoo.files import parse_json, remove_leftovers, write_atomically, writing


@contextmanager
def hold_run(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes and threads from writing the files of a run.

    Args:
        folder: Folder of the runs; it is made if necessary.
        name: Name of the run.

    Raises:
        TrainingError: If somebody else holds it; the message says who.
        WriteError: If the lock cannot be written.
    """
    path = folder / "models" / f".{name}.lock"
    holder = path.with_name(f"{path.name}.json")
    lock = FileLock(path, timeout=0)
    with writing(path, "the lock of the run"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise TrainingError(
                f"{name} in {folder} is being trained by {_read_holder(holder)}; wait for it, or "
                "give another name, seed or output folder"
            ) from None
    try:
        remove_leftovers(holder)
        write_atomically(holder, _this_process(), "the lock of the run")
        yield
    finally:
        for file in (holder, path):
            with suppress(OSError):  # Windows removes no open file
                file.unlink()
        lock.release()


def _this_process() -> bytes:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _read_holder(path: Path) -> str:
    with suppress(OSError, ValueError, TypeError, KeyError):
        values = parse_json(path.read_bytes())
        return "process {pid} on {host} since {since}".format(**values)
    return "another process"
