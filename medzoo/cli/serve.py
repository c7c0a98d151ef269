"""``medzoo serve``: models as an HTTP service."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from medzoo.cli.command import Commands, add_device_option

if TYPE_CHECKING:
    from medzoo.serving.limits import Limits

_LOCAL = ("127.0.0.1", "::1", "localhost")


def add(commands: Commands) -> None:
    """Add ``serve``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "serve",
        _serve,
        "serve models over HTTP, with a page to try them",
        "medzoo serve advanced_cnn.dermamnist simple_cnn.pneumoniamnist --port 8000",
    )
    sub.add_argument(
        "model",
        nargs="+",
        help="a checkpoint's name, a weights file, an exported .onnx file or hf-hub:org/name; "
        "A+B for an ensemble; NAME=MODEL to serve it under another name",
    )
    sub.add_argument("--host", default="127.0.0.1", help="address to bind (%(default)s)")
    sub.add_argument(
        "--port", type=int, default=8000, help="port; 0 for a free one, which is printed"
    )
    sub.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    sub.add_argument(
        "--token", help="what clients must send; better set MEDZOO_TOKEN, which others cannot see"
    )
    sub.add_argument("--compile", action="store_true", help="run the models in ONNX Runtime")
    sub.add_argument(
        "--cors", nargs="+", default=(), metavar="ORIGIN", help="pages that may use the service"
    )
    sub.add_argument("--max-batch", type=int, help="images that run at once (64)")
    sub.add_argument("--max-wait", type=float, metavar="MS", help="for images being decoded (5)")
    sub.add_argument("--queue", type=int, help="images in progress before others are refused (256)")
    sub.add_argument("--max-body", type=int, metavar="MB", help="size of a request (32)")
    add_device_option(sub)


def _serve(arguments: argparse.Namespace) -> tuple[Any, str]:
    # Imported here, so that other commands start quickly.
    from medzoo.serving.server import Server

    if arguments.workers < 1:
        raise ValueError(f"--workers {arguments.workers} must be at least 1")
    token = os.environ.get("MEDZOO_TOKEN") if arguments.token is None else arguments.token
    if token is None and arguments.host not in _LOCAL:
        print(
            f"medzoo: warning: everybody who can reach {arguments.host} can use the service; set "
            "MEDZOO_TOKEN to prevent that",
            file=sys.stderr,
        )
    given = {
        "max_batch": arguments.max_batch,
        "max_wait_ms": arguments.max_wait,
        "queue_size": arguments.queue,
        "max_body": arguments.max_body and arguments.max_body << 20,
    }
    limits = _limits({name: value for name, value in given.items() if value is not None})
    server = Server(
        arguments.model,
        arguments.host,
        arguments.port,
        arguments.workers,
        {
            "token": token,
            "compile": arguments.compile,
            "device": arguments.device,
            "cors": arguments.cors,
            "limits": limits,
        },
    )
    server.run()
    return None, "medzoo: stopped"


def _limits(given: dict[str, Any]) -> Limits:
    """Return the limits, those without an option of their own within or above the given ones."""
    from medzoo.serving.limits import Limits

    queue, body = given.get("queue_size", 0), given.get("max_body", 0)
    if queue > 0:
        given["max_images"] = min(Limits.max_images, queue)
    return Limits(max_memory=max(Limits.max_memory, body), **given)
