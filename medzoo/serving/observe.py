"""Around every request: an identifier, a line in the log, metrics, and headers for safety."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import MutableMapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medzoo.serving.metrics import Metrics
from medzoo.serving.problems import CLIENT_CLOSED_REQUEST, failure

log = logging.getLogger("medzoo.access")

_IDENTIFIER = re.compile(r"[\w.-]{1,64}", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'"),
)
"""Those of answers that do not have others."""
_UNKNOWN = "(unknown)"
"""The route of addresses where nothing is: what a client made up is neither logged nor counted."""


class Observe:
    """ASGI middleware that observes requests; it sees neither images nor names of files.

    Args:
        app: What answers the requests.
        metrics: Where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        # Kept for later requests; there are few different ones.
        self._requests = lru_cache(1000)(metrics.requests.labels)
        self._seconds = lru_cache(1000)(metrics.seconds.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and note what happened."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        identifier = given if _IDENTIFIER.fullmatch(given) else uuid.uuid4().hex
        status, received, is_started = CLIENT_CLOSED_REQUEST, 0, False

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def labelled(message: Message) -> None:
            nonlocal status, is_started
            if message["type"] == "http.response.start":
                status, is_started = message["status"], True
                headers = dict(message["headers"])
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in _HEADERS if pair[0] not in headers),
                    (b"x-request-id", identifier.encode()),
                ]
            await send(message)

        try:
            await self._app(scope, counting, labelled)
        except Exception as error:
            # Here and not outside, so that this answer is observed as well.
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            if is_started:
                raise
            await failure(Request(scope), error)(scope, counting, labelled)
        finally:
            self._note(scope, status, received, time.perf_counter() - start, identifier)

    def _note(
        self,
        scope: MutableMapping[str, Any],
        status: int,
        received: int,
        seconds: float,
        identifier: str,
    ) -> None:
        route = getattr(scope.get("route"), "path", _UNKNOWN)
        method = scope["method"] if scope["method"] in _METHODS else _UNKNOWN
        self._requests(method, route, status).inc()
        self._seconds(route).observe(seconds)
        self._metrics.received.inc(received)
        if log.isEnabledFor(logging.INFO):
            values = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "method": method,
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 2),
                "bytes": received,
                "id": identifier,
            }
            log.info(json.dumps(values))
