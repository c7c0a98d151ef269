"""A client that behaves badly where it is told to: one HTTP request per connection."""

import asyncio
import json
from dataclasses import dataclass
from typing import Literal

BOUNDARY = "0123456789abcdef"
Manner = Literal["at once", "slow", "cut off"]


@dataclass(frozen=True)
class Reply:
    """What became of a request.

    Attributes:
        status: Of the answer; None without one.
        values: The answer's JSON.
        error: Why there is no answer.
    """

    status: int | None
    values: dict | None = None
    error: str = ""


def form(contents, name):
    """The body of a form with files, and its type."""
    parts = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; '
        f'filename="{index}-{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for index, content in enumerate(contents)
    )
    return parts + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


async def post(port, path, body, kind, manner: Manner = "at once", patience=60.0) -> Reply:
    """Send a request to this machine and read the answer."""
    try:
        async with asyncio.timeout(patience):
            return await _post(port, path, body, kind, manner)
    except TimeoutError:
        return Reply(None, error="no answer")  # the one thing that must not happen
    except (OSError, asyncio.IncompleteReadError) as error:
        return Reply(None, error=f"connection: {error!r}")


async def _post(port, path, body, kind, manner):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        if manner == "cut off":
            writer.write(body[: len(body) // 2])
            await writer.drain()
            await asyncio.sleep(0.02)
            return Reply(None, error="cut off")
        if manner == "slow":
            for start in range(0, len(body), len(body) // 4 + 1):
                writer.write(body[start : start + len(body) // 4 + 1])
                await writer.drain()
                await asyncio.sleep(0.1)
        else:
            writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length")
        )
        return Reply(int(head.split()[1]), json.loads(await reader.readexactly(length)))
    finally:
        writer.transport.abort() if manner == "cut off" else writer.close()
