"""Running the application in uvicorn, in one process or in several, as ``medzoo serve`` does."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from medzoo.deployment.optional import import_optional
from medzoo.errors import WeightsError
from medzoo.escape import for_display

if TYPE_CHECKING:
    from fastapi import FastAPI

    from medzoo.serving.models import Sources

_GRACE = 30  # seconds in which requests are finished after SIGTERM
_IDLE = 15  # seconds after which a connection without a request is closed
_HEALTH = 60  # seconds in which a process has to react, also while it imports PyTorch
_ONCE = 10**9  # seconds between two announcements


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
        """
        for package in ("uvicorn", "httptools"):
            import_optional(package, "the service needs", "serve")
        import uvicorn
        from uvicorn.supervisors import Multiprocess

        from medzoo.serving.connection import Connection

        with _bind(self.host, self.port) as listener:
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
                Multiprocess(config, [listener]).run()


def _create(server: Server) -> FastAPI:
    """Make the application, in the process that runs it."""
    from uvicorn.config import STARTUP_FAILURE

    try:
        import torch

        from medzoo.serving.app import create_app
        from medzoo.serving.metrics import forget_ended_processes

        _log_to_stderr()
        forget_ended_processes()
        torch.set_num_threads(max(1, torch.get_num_threads() // server.workers))
        return create_app(server.models, **server.options)
    except (ImportError, OSError, TypeError, ValueError, WeightsError) as error:
        if server.workers == 1:
            raise
        # With this exit code, it is not started again.
        print(f"medzoo: error: {for_display(str(error))}", file=sys.stderr)
        sys.exit(STARTUP_FAILURE)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    access = logging.getLogger("medzoo.access")
    access.handlers, access.propagate = [handler], False
    access.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # not a line per malformed request


async def _announce(address: str) -> None:
    print(f"medzoo: ready at {address} (process {os.getpid()})", flush=True)


def _bind(host: str, port: int) -> socket.socket:
    """Bind an address, without listening: connections are refused until the models are loaded."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
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
