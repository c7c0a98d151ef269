"""Every error as the same JSON document (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from medzoo.escape import for_display

MEDIA_TYPE = "application/problem+json"
CLIENT_CLOSED_REQUEST = 499
"""What the log says of a request whose client has gone; nobody receives it."""

_LONGEST = 1000  # characters of a text that may hold what a client sent

log = logging.getLogger("medzoo.serving")


class Problem(Exception):  # noqa: N818  # as RFC 9457 calls it
    """An error that a client is told.

    Args:
        status: The status of HTTP.
        detail: What is wrong, and what to do.
        headers: Further headers of the response.
        **fields: Further fields of the document.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.fields = fields


def overloaded(detail: str) -> Problem:
    """Return the problem that there is too much to do at the moment.

    Args:
        detail: What is full.
    """
    return Problem(503, f"{detail}; try again in a second", {"Retry-After": "1"})


def shown(text: str) -> str:
    """Return text that a client sent so that it can be shown.

    Args:
        text: The text, e.g. the name of a file.
    """
    return for_display(text[:_LONGEST])


def add_handlers(app: FastAPI) -> None:
    """Let an application answer all errors with problem documents.

    Args:
        app: The application.
    """
    app.exception_handler(Problem)(_of_problem)
    app.exception_handler(HTTPException)(_of_http)
    app.exception_handler(RequestValidationError)(_of_validation)
    app.exception_handler(ClientDisconnect)(_of_disconnect)


def failure(request: Request, error: Exception) -> Response:
    """Return the answer to a request at which the service has failed, and log why.

    Args:
        request: The request.
        error: Why.
    """
    log.error("a request has failed", exc_info=error)
    return _response(request, Problem(500, "the service has failed; its log says why"))


def _response(request: Request, problem: Problem) -> JSONResponse:
    detail = shown(problem.detail)
    content = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": detail,
        **problem.fields,
    }
    mount = request.scope.get("root_path", "")
    if request.scope["path"].removeprefix(mount).startswith("/v2/"):
        content["error"] = detail  # where the Open Inference Protocol has it
    return JSONResponse(content, problem.status, problem.headers, MEDIA_TYPE)


async def _of_problem(request: Request, problem: Problem) -> Response:
    return _response(request, problem)


async def _of_http(request: Request, error: HTTPException) -> Response:
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this address; /docs lists what there is"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = "this address does not take this method; /docs lists what it takes"
    return _response(request, Problem(error.status_code, detail, error.headers))


async def _of_validation(request: Request, error: RequestValidationError) -> Response:
    reasons = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return _response(request, Problem(422, "; ".join(reasons)))


async def _of_disconnect(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)
