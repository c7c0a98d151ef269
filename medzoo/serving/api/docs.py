"""The interface in words: ``/openapi.json``, and a plain page of it at ``/docs``.

FastAPI's own page loads its program from a third party; this one loads nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from medzoo.serving.api.schemas import ProblemDocument

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; overflow-wrap: anywhere; }
h2 b { color: #00796b; margin-right: 0.5em; }
pre { overflow-x: auto; padding: 0.75rem 1rem; border-radius: 6px; background: #8881; }
code { font-size: 0.9em; }
table { border-collapse: collapse; }
td { padding: 0.2rem 1.2rem 0.2rem 0; vertical-align: top; }
@media (prefers-color-scheme: dark) { h2 b { color: #4db6ac; } }
"""
_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'"


def create_docs(app: FastAPI) -> APIRouter:
    """Return the routes.

    Args:
        app: The application, with all other routes.
    """
    router = APIRouter(include_in_schema=False)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]

    @router.get("/openapi.json")
    async def openapi(request: Request) -> dict[str, Any]:
        # Mounted in another application, the addresses begin with the path of the mount.
        return app.openapi() | {"servers": [{"url": request.scope.get("root_path") or "/"}]}

    @router.get("/docs")
    async def docs() -> Response:
        text = "".join(_page(app.openapi()))
        return Response(text, headers={"Content-Security-Policy": _POLICY}, media_type="text/html")

    return router


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        known = schema["components"]["schemas"]
        known["ProblemDocument"] = ProblemDocument.model_json_schema()
        # FastAPI adds its own form of errors to whatever has a parameter.
        for name in ("HTTPValidationError", "ValidationError"):
            known.pop(name, None)
        for operations in schema["paths"].values():
            for operation in operations.values():
                if "HTTPValidationError" in str(operation["responses"].get("422")):
                    del operation["responses"]["422"]
        app.openapi_schema = schema
    return app.openapi_schema


def _page(schema: Mapping[str, Any]) -> Iterator[str]:
    title = escape(schema["info"]["title"])
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{_STYLE}</style></head><body><main><h1>{title}: API</h1>"
    yield f"<p>{escape(schema['info']['description'])}</p>"
    yield '<p>For programs: <a href="openapi.json">openapi.json</a>. <a href=".">The page</a>.</p>'
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            yield f"<h2><b>{method.upper()}</b><code>{escape(path)}</code></h2>"
            yield from _operation(operation)
    yield "</main></body></html>"


def _operation(operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    if parameters := operation.get("parameters"):
        yield "<h3>Parameters</h3>"
        yield from _table(
            (f"{one['name']} ({one['in']})", one.get("description", "")) for one in parameters
        )
    if body := operation.get("requestBody"):
        yield f"<h3>Body</h3><p>{escape(body['description'])}</p>"
        yield from _examples(body["content"])
    yield "<h3>Answers</h3>"
    answers = operation["responses"]
    yield from _table((status, answer["description"]) for status, answer in answers.items())
    for answer in answers.values():
        yield from _examples(answer.get("content", {}))


def _table(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield "<table>"
    for name, text in rows:
        yield f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>"
    yield "</table>"


def _examples(content: Mapping[str, Any]) -> Iterator[str]:
    for kind, body in content.items():
        if example := body.get("example"):
            text = example if isinstance(example, str) else json.dumps(example, indent=2)
            yield f"<p>{escape(kind)}:</p><pre><code>{escape(text)}</code></pre>"
