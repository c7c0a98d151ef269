"""Decode files in worker processes, which are started when needed, kept, and ended when they hang.

A worker first says that it is ready. It gets a line of JSON, followed by the file if it has no
path. It replies with the size of the image, waits for "go", and replies with the shape, followed by
the pixels; or with an error.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import subprocess
import sys
from contextlib import suppress
from multiprocessing.spawn import get_executable
from pathlib import Path
from threading import BoundedSemaphore, Timer
from typing import IO, Any

import numpy as np
from PIL import Image

from medzoo.images.decoding.decode import Reserve
from medzoo.images.decoding.limits import MAX_MEMORY, MAX_SECONDS, MAX_WAIT, MAX_WORKERS

_SCRIPT = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from medzoo.images.decoding.worker import serve; serve()"
)
# Threads and their heaps count as memory, although they hold hardly any.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_MAX_LINE = 1 << 16


class WorkerPool:
    """Worker processes, at most `MAX_WORKERS` at the same time."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._slots = BoundedSemaphore(MAX_WORKERS)

    def decode(self, source: Path | bytes, name: str, reserve: Reserve) -> tuple[np.ndarray, int]:
        """Decode a file; see `medzoo.images.decoding.decode.decode`.

        Args:
            source: The path of the file, or its content.
            name: What it is called.
            reserve: Called with width and height before the pixels are decoded.

        Raises:
            ValueError: If it cannot be decoded within the limits.
        """
        with self._slots:
            worker = self._take()
            try:
                return worker.decode(source, name, reserve)
            finally:
                if worker.is_ready():
                    self._idle.append(worker)
                else:
                    worker.end()

    def end(self) -> None:
        """End the workers that have nothing to do."""
        while self._idle:
            self._idle.pop().end()

    def _take(self) -> _Worker:
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                return _Worker()
            if worker.is_ready():
                return worker
            worker.end()


class _Worker:
    def __init__(self) -> None:
        if getattr(sys, "frozen", False):  # its executable is the program, which would run again
            raise ValueError("a frozen program reads plain JPEG, PNG and BMP only; save it as PNG")
        paths = [path or str(Path.cwd()) for path in sys.path]
        executable = get_executable()
        try:
            self._process = subprocess.Popen(
                # Isolated: whatever is in the current folder or the environment is not imported.
                [os.fsdecode(executable), "-I", "-W", "ignore", "-c", _SCRIPT, *paths],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _ENVIRONMENT,
            )
        except (OSError, TypeError) as error:  # a program that embeds Python may not know it
            raise ValueError(
                f"Python, which decodes it, cannot be started as {executable!r} ({error}); name it "
                "with multiprocessing.set_executable, or save the image as PNG"
            ) from error
        self._requests: IO[bytes] = self._process.stdin  # type: ignore[assignment]
        self._replies: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self._is_between_files = True
        try:
            started = self._ask().get("ready")
        except (AttributeError, TypeError, ValueError):  # it ended, or does not answer like one
            started = False
        if not started:
            self.end()
            raise ValueError(
                f"{executable!r} was started to decode it and is not this Python (exit status "
                f"{self._process.returncode}); name it with multiprocessing.set_executable, or "
                "save the image as PNG"
            )

    def decode(self, source: Path | bytes, name: str, reserve: Reserve) -> tuple[np.ndarray, int]:
        self._is_between_files = False
        path, content = (
            (str(source.absolute()), b"") if isinstance(source, Path) else (None, source)
        )
        request = {
            "path": path,
            "bytes": len(content),
            "name": name,
            "seconds": MAX_SECONDS,
            "memory": MAX_MEMORY,
            "heif": "HEIF" in Image.OPEN,  # if the program has registered it
        }
        reply = self._ask(json.dumps(request).encode() + b"\n", content)
        width, height = reply["size"]
        try:
            reserve(width, height)
        except Exception:
            self._requests.write(b"stop\n")
            self._requests.flush()
            self._is_between_files = True
            raise
        reply = self._ask(b"go\n", pixels=width * height)
        self._is_between_files = True
        return reply["pixels"], int(reply["highest"])

    def is_ready(self) -> bool:
        return self._is_between_files and self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._requests, self._replies):
            with suppress(OSError):  # what was not sent cannot be
                stream.close()

    def _ask(self, *parts: bytes, pixels: int = 0) -> dict[str, Any]:
        """Send something and return the reply, with up to so many pixels."""
        timer = Timer(MAX_WAIT, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            for part in parts:
                self._requests.write(part)
            self._requests.flush()
            line = self._replies.readline(_MAX_LINE)
            reply = json.loads(line) if line else {}
            if "shape" in reply:
                reply["pixels"] = self._receive(reply["shape"], pixels)
        except OSError:  # it ended before it had read everything
            reply = {}
        finally:
            timer.cancel()
        if not reply:
            self._process.wait()
            raise ValueError(
                f"decoding it takes more than {MAX_SECONDS} seconds of processor time, or crashes "
                f"the decoder (exit status {self._process.returncode}); save it as PNG"
            )
        if "error" in reply:
            self._is_between_files = True
            raise ValueError(reply["error"])
        return reply

    def _receive(self, shape: list[int], pixels: int) -> np.ndarray:
        if math.prod(shape[:2]) != pixels or shape[2:] not in ([], [3]):
            raise ValueError(f"its decoder returned the shape {shape} for {pixels} pixels")
        array = np.empty(shape, np.uint8)
        if self._replies.readinto(array.data.cast("B")) != array.nbytes:  # type: ignore[attr-defined]
            raise EOFError("its decoder ended early")
        return array


_pool = WorkerPool()


def worker_pool() -> WorkerPool:
    """Return the workers of this process."""
    return _pool


def _forget() -> None:
    """Start anew in a forked process: the workers talk to its parent."""
    global _pool
    _pool = WorkerPool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(lambda: _pool.end())
