"""The services that are compared: how each is started, found ready, and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.reporting.paths import ROOT
from benchmarks.speed_cases.measurement import OURS

MODEL = "advanced_cnn.dermamnist"
LITSERVE = "LitServe, batches of up to 64"
ASYNC, THREADS = "FastAPI, async def", "FastAPI, def"
_HOST = "127.0.0.1"
_START = 120.0  # seconds


@dataclass(frozen=True)
class Contestant:
    """A service.

    Attributes:
        command: Starts it; ``{port}`` stands for the port.
        path: Where images are sent.
        environment: Further variables of the environment.
    """

    command: Sequence[str]
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Start the service and yield its address, when it answers; end it afterwards."""
        port = free_port()
        command = [sys.executable, *(part.format(port=port) for part in self.command)]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "MODEL": MODEL, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                address = f"http://{_HOST}:{port}{self.path}"
                if not _answers(address, process):
                    log.seek(0)
                    text = log.read().decode(errors="replace")
                    raise RuntimeError(f"{' '.join(command)} does not answer:\n{text}")
                yield address
            finally:
                _end(process)


_UVICORN = ("-m", "uvicorn", "--port", "{port}", "--no-access-log")
_PLAIN = (*_UVICORN, "benchmarks.serving.fastapi_app:app")
CONTESTANTS: Mapping[str, Contestant] = {
    OURS: Contestant(
        ("-m", "medzoo", "serve", MODEL, "--port", "{port}"), f"/v1/models/{MODEL}/predict"
    ),
    LITSERVE: Contestant(("-m", "benchmarks.serving.litserve_app", "{port}"), "/predict"),
    ASYNC: Contestant(_PLAIN, "/async"),
    THREADS: Contestant(_PLAIN, "/def"),
}
"""All keep their defaults: one process runs the model, with as many threads as PyTorch chooses."""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])


def _answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a service answers, even if with an error: models are loaded before that."""
    end = time.monotonic() + _START
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(address, data=b"", timeout=5)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return True
        except OSError:
            pass
        time.sleep(0.2)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a service and all processes that it has started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
