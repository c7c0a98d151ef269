"""Bodies of requests to the service, and ways to corrupt them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.fuzz.headers import damaged_json
from tests.fuzz.image_files import damaged
from tests.fuzz.readers import Case

_FILE = (
    b"multipart/form-data; boundary=x\n"
    b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
    b"PNG\r\n--x--\r\n"
)
_FORM = (
    b"multipart/form-data; boundary=x\n"
    b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\nPNG\r\n"
    b"--x\r\nContent-Disposition: form-data; name=images; filename*=utf-8''b%20c\r\n\r\n\r\n"
    b"--x--\r\n"
)
_TENSOR = {"name": "images", "shape": [1, 2, 2, 1], "datatype": "UINT8", "data": [0, 1, 2, 255]}
_BINARY = _TENSOR | {"parameters": {"binary_data_size": 4}}
_FILES = {"name": "images", "shape": [2], "datatype": "BYTES", "data": ["aGk=", ""]}
_OUTPUTS = [{"name": "logits", "parameters": {"binary_data": True}}]


def cases() -> dict[str, Case]:
    """Return the kinds of bodies by name; none without the extra ``medzoo[serve]``."""
    try:
        from medzoo.serving.api.tensors import parse
        from medzoo.serving.problems import Problem
    except ImportError:
        return {}

    def form(number: int) -> bytes:
        return damaged(number, {"form": [_FORM, _FILE]})[2]

    def binary(number: int) -> bytes:
        """The size of the JSON, the JSON, and what follows it."""
        text = json.dumps({"inputs": [_BINARY], "outputs": _OUTPUTS}).encode()
        return damaged(number, {"binary": [b"%d\n%s\0\1\2\xff" % (len(text), text)]})[2]

    def tensors(number: int) -> bytes:
        tensor = (_TENSOR, _FILES)[number % 2]
        values = {"id": "1", "inputs": [tensor], "outputs": _OUTPUTS, "parameters": {}}
        return damaged_json(number, values).encode("utf8", "surrogatepass")

    def read_binary(path: Path) -> object:
        size, _, body = path.read_bytes().partition(b"\n")
        return parse(body, size.decode("latin-1"))

    return {
        "multipart": Case(form, _uploads, (Problem,), ""),
        "tensors": Case(tensors, lambda path: parse(path.read_bytes(), None), (Problem,), ""),
        "binary tensors": Case(binary, read_binary, (Problem,), ""),
    }


def _uploads(path: Path) -> object:
    """Read a file with the type of a body in its first line, as the service reads requests."""
    from starlette.requests import Request

    from medzoo.serving.intake import Intake
    from medzoo.serving.limits import Limits

    kind, _, body = path.read_bytes().partition(b"\n")
    size = (b"content-length", b"%d" % len(body))
    scope = {"type": "http", "headers": [(b"content-type", kind), size]}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def run() -> object:
        async with Intake(Limits()).uploads(Request(scope, receive)) as uploads:
            return uploads

    return asyncio.run(run())
