"""The process in which files are decoded that could cost any amount of time or memory.

It imports neither PyTorch nor the user's program, so that it starts quickly and stays small. It
answers in JSON and raw pixels: nothing that a damaged decoder could have written is unpickled.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medzoo.images.decoding.decode import NotWantedError, decode
from medzoo.images.decoding.limits import check_pixels

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def serve() -> None:
    """Decode files until the other process ends; see `medzoo.images.decoding.pool`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what decoders print must not get into the replies
    _limit("RLIMIT_CORE", 0)
    _send(replies, ready=True)
    for line in requests:
        request = json.loads(line)
        _limit("RLIMIT_AS", request["memory"])
        _limit("RLIMIT_CPU", int(sum(os.times()[:2])) + 1 + request["seconds"])
        try:
            pixels, highest = _decode(request, requests, replies)
        except NotWantedError:
            continue
        except Exception as error:  # decoders raise many kinds of errors, some with several lines
            reason = " ".join(str(error).split())[:2000] or type(error).__name__
            if isinstance(error, MemoryError):
                reason = f"decoding it takes more than {request['memory']:,} bytes of memory"
            _send(replies, error=reason)
        else:
            _send(replies, shape=pixels.shape, highest=highest)
            replies.write(np.ascontiguousarray(pixels).data)
            replies.flush()


def _decode(
    request: dict[str, Any], requests: BinaryIO, replies: BinaryIO
) -> tuple[np.ndarray, int]:
    def reserve(width: int, height: int) -> None:
        check_pixels(width, height)
        _send(replies, size=[width, height])
        if requests.readline() != b"go\n":
            raise NotWantedError

    if request["heif"]:
        import_module("pillow_heif").register_heif_opener()
    if request["path"] is None:
        content = io.BytesIO(requests.read(request["bytes"]))
        return decode(content, request["name"], reserve)
    with Path(request["path"]).open("rb") as stream:
        return decode(stream, request["name"], reserve)


def _send(replies: BinaryIO, **reply: object) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


def _limit(name: str, value: int) -> None:
    with suppress(AttributeError, OSError, ValueError):  # not every system has or accepts it
        limit = getattr(resource, name)
        resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
