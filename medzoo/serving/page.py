"""What browsers get: the page at ``/``, and a plain rendering of the interface at ``/docs``."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from importlib import resources

from fastapi import APIRouter, Request, Response

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_INDEX = "index.html"
_BACKEND, _OWN_BACKEND = "backend.js", "server_backend.js"
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)


def create_page() -> APIRouter:
    """Return the routes of the page's files, which are read now."""
    router = APIRouter(include_in_schema=False)
    files = _page_files()
    if own := files.get(_OWN_BACKEND):
        files[_BACKEND] = own
    for name, content in files.items():
        respond = _responding(content, _TYPES[f".{name.rpartition('.')[2]}"])
        router.add_api_route(f"/{'' if name == _INDEX else name}", respond, methods=["GET", "HEAD"])
    return router


def _page_files() -> dict[str, bytes]:
    folder = resources.files("medzoo.web").joinpath("page")
    if not folder.is_dir():
        return {}
    suffixes = tuple(_TYPES)
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.is_file() and file.name.endswith(suffixes)
    }


def _responding(content: bytes, kind: str) -> Callable[[Request], Response]:
    # Browsers ask each time whether it has changed: after an update, all files fit together.
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}

    async def respond(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=kind)

    return respond  # type: ignore[return-value]
