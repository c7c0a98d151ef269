"""Who may use the service: clients that know the token, and pages of other origins."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import Receive, Scope, Send

from medzoo.serving.problems import Problem

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")
_USUAL_PORTS = {"http": "80", "https": "443"}  # which browsers leave out
_BEARER = HTTPBearer(auto_error=False, description="The token that the service was given.")


def require_token(token: str | None) -> list[Any]:
    """Return what FastAPI checks before a route is called.

    Args:
        token: The token; None if everybody may call it.

    Raises:
        TypeError: If it is not text.
        ValueError: If it is empty, or has characters that no header can contain.
    """
    if token is None:
        return []
    if not isinstance(token, str):
        raise TypeError(f"token is a {type(token).__name__}, expected text")
    if not (token.isascii() and token.isprintable() and token.strip() == token and token):
        raise ValueError(
            "the token must be printable ASCII characters without spaces around them, at least one"
        )
    expected = token.encode()

    async def check(request: Request) -> None:
        given = await _BEARER(request)
        # Compared in constant time, so that nobody can find it out piece by piece.
        if given is None or not hmac.compare_digest(given.credentials.encode(), expected):
            raise Problem(
                401,
                "this service needs a token, as the header 'Authorization: Bearer ...'",
                {"WWW-Authenticate": "Bearer"},
            )

    return [Depends(check), Depends(_BEARER)]  # the latter says so in OpenAPI


class DirectRoute(APIRoute):
    """A route that gives its function the request and its path, and checks who may use it.

    What FastAPI does besides that for every request takes longer than all the rest of a route.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; errors are for the handlers of the application."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)  # which refuses it
            return
        request = Request(scope, receive, send)
        for check in self.dependencies:
            if check.dependency:
                await check.dependency(request)
        response: Response = await self.endpoint(request, **request.path_params)
        await response(scope, receive, send)


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of other origins use the service; without this, browsers do not.

    Args:
        app: The application.
        origins: E.g. ``["https://lab.example"]``; ``["*"]`` for all.

    Raises:
        TypeError: If it is text instead of a list, or one of them is not text.
        ValueError: If one of them could never match what browsers send.
    """
    if isinstance(origins, str):
        raise TypeError(f"cors={origins!r} is text, expected a list of origins: [{origins!r}]")
    for origin in origins:
        _check_origin(origin)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )


def _check_origin(origin: object) -> None:
    """Make sure that browsers may send an origin exactly like this; the service compares text."""
    if not isinstance(origin, str):
        raise TypeError(f"the origin {origin!r:.80} in cors is not text")
    scheme, _, rest = origin.partition("://")
    is_sent = _ORIGIN.fullmatch(origin) and rest.rpartition(":")[2] != _USUAL_PORTS.get(scheme)
    if not (is_sent or origin == "*"):
        raise ValueError(
            f"the origin {origin!r:.200} in cors matches no page: expected scheme://host or "
            "scheme://host:port in lower case, without a path, a slash at the end or the usual "
            "port, such as 'https://lab.example'"
        )
