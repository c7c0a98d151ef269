"""Running the application in uvicorn, in one process or in several, as ``medzoo serve`` does."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from medzoo.errors import WeightsError
from medzoo.escape import for_display
from medzoo.lazy import import_optional

if TYPE_CHECKING:
    from fastapi import FastAPI

    from medzoo.serving.models import Sources

_GRACE = 30  # seconds in which requests are finished after SIGTERM
_IDLE = 15  # seconds after which a connection without a request is closed
_HEALTH = 20  # seconds in which a process has to react, also while it starts
_ONCE = 10**9  # seconds between two announcements
_SPINS = "1000"  # some ten microseconds


@dataclass(frozen=True)
class Server:
    """How a service is run.

    Attributes:
        models: As for `medzoo.serving.create_app`, but none that are loaded already: each process
            loads its own.
        host: The address to bind.
        port: The port; 0 for one that is free.
        workers: Processes.
        options: Further arguments of `medzoo.serving.create_app`.

    Raises:
        ImportError: If the extra ``medzoo[serve]`` is missing.
    """

    models: Sources
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """Serve until the process is told to stop (SIGTERM, Ctrl-C); finish what is running.

        Raises:
            OSError: If the address cannot be bound.
            ValueError: If there is no such port.
        """
        for package in ("uvicorn", "httptools"):
            import_optional(package, "the service needs", "serve")
        import uvicorn
        from uvicorn.config import STARTUP_FAILURE
        from uvicorn.supervisors import Multiprocess

        from medzoo.serving.connection import Connection

        with _bind(self.host, self.port) as listener:
            # A batch runs in several threads of OpenMP, which wait for each other after each step.
            # By default they look out for milliseconds, in which other requests need the processor.
            os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)  # read when PyTorch is imported
            config = uvicorn.Config(
                partial(_create, self),
                factory=True,
                http=Connection,
                ws="none",
                workers=self.workers,
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_IDLE,
                timeout_graceful_shutdown=_GRACE,
                timeout_worker_healthcheck=_HEALTH,
                timeout_notify=_ONCE,
                callback_notify=partial(_announce, _address(self.host, listener)),
            )
            if self.workers == 1:
                uvicorn.Server(config).run([listener])
                return
            with TemporaryDirectory(prefix="medzoo-metrics-") as folder:
                os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
                supervisor = Multiprocess(config, [listener])
                supervisor.run()
                if any(one.exitcode == STARTUP_FAILURE for one in supervisor.processes):
                    raise SystemExit(1)  # the process has said why


def _create(server: Server) -> FastAPI:
    """Make the application, in the process that runs it."""
    from uvicorn.config import STARTUP_FAILURE

    try:
        import torch

        from medzoo.serving.app import create_app
        from medzoo.serving.metrics import forget_ended_processes

        _log_to_stderr()
        forget_ended_processes()
        if server.workers > 1:  # or MKL would no longer heed what a single thread is limited to
            torch.set_num_threads(max(1, torch.get_num_threads() // server.workers))
        app = create_app(server.models, **server.options)
        # What is loaded stays: looking for garbage in it would stop everybody for seconds, again
        # and again, while a request of many small values is read.
        gc.collect()
        gc.freeze()
        return app
    except (ImportError, OSError, TypeError, ValueError, WeightsError) as error:
        if server.workers == 1:
            raise
        print(f"medzoo: error: {for_display(str(error))}", file=sys.stderr, flush=True)
        os._exit(STARTUP_FAILURE)  # at once, and with the code after which it is not started again


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    access = logging.getLogger("medzoo.access")
    access.handlers, access.propagate = [handler], False
    access.setLevel(logging.INFO)
    for name in ("uvicorn", "python_multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)  # not a line per malformed request
    # What no line says need not be found out ("Optimization" in Python's HOWTO of logging).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


async def _announce(address: str) -> None:
    print(f"medzoo: ready at {address} (process {os.getpid()})", flush=True)


def _bind(host: str, port: int) -> socket.socket:
    """Bind an address, without listening: connections are refused until the models are loaded."""
    if not 0 <= port < 1 << 16:  # or another one is taken in its place
        raise ValueError(f"port {port} must be from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot serve at {host!r}: {error.strerror}; give an address or a name "
            "of this machine",
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":  # where it means something else
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno, f"cannot serve at {host}, port {port}: {error.strerror}"
        ) from error
    listener.set_inheritable(True)
    return listener


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"
