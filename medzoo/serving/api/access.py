"""Who may use the service: clients that know the token, and pages of other origins."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from medzoo.serving.problems import Problem

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

    async def check(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        # Compared in constant time, so that nobody can find it out piece by piece.
        if given is None or not hmac.compare_digest(given.credentials.encode(), expected):
            raise Problem(
                401,
                "this service needs a token, as the header 'Authorization: Bearer ...'",
                {"WWW-Authenticate": "Bearer"},
            )

    return [Depends(check)]


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of other origins use the service; without this, browsers do not.

    Args:
        app: The application.
        origins: E.g. ``["https://lab.example"]``.

    Raises:
        TypeError: If it is text instead of a list.
    """
    if isinstance(origins, str):
        raise TypeError(f"cors={origins!r} is text, expected a list of origins: [{origins!r}]")
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
