"""Receiving images: how large a request may be, how long it may take, what is in it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from medzoo.serving.limits import Limits
from medzoo.serving.problems import Problem, overloaded, shown

_FREE = 64 << 10
"""Bytes of each request that do not count, so that large ones do not keep small ones out."""
_SMALL = 1 << 18
"""Bytes up to which a form is read when it has arrived, and not while it does."""
_LONGEST_NAME = 200  # characters
_FORM = re.compile(r"multipart/form-data; ?boundary=([\w.-]{1,70})", re.ASCII)
_FILE = re.compile(
    rb'Content-Disposition: form-data; name="[\w .\[\]-]{1,100}"; filename="([\w ().-]{0,200})"\r\n'
    rb"(?:Content-Type: [\w./+-]{1,100}\r\n)?\r\n"
)
"""The headers of a file as browsers, curl and most libraries write them."""
_NOT_IMAGES = ("application/json", "application/x-www-form-urlencoded", "text/")


@dataclass(frozen=True)
class Upload:
    """One image as it was sent.

    Attributes:
        name: Of the file, safe to be shown; empty if it has none.
        content: The content of the file.
    """

    name: str
    content: bytes


class Intake:
    """Receives requests within the limits, in memory alone.

    Args:
        limits: The limits.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free = limits.max_memory

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a request's body, which counts as held until the context ends.

        Args:
            request: The request.

        Raises:
            Problem: If it is too large or too slow, or all requests together hold too much.
        """
        with self._chunks(request) as chunks:
            with self._patience():
                content = b"".join([chunk async for chunk in chunks])
            yield content

    @asynccontextmanager
    async def uploads(self, request: Request) -> AsyncIterator[list[Upload]]:
        """Receive images: the parts of a multipart body, or the body itself.

        Args:
            request: The request.

        Raises:
            Problem: As `body`; or if there are no images or too many, something else is among
                them, or the body is of another type.
        """
        given = request.headers.get("content-type", "").strip()
        kind = given.lower()
        if kind.startswith(_NOT_IMAGES):
            raise Problem(
                415,
                f"the body is {kind}; send images as multipart/form-data, or one image as the body "
                "with its own type or application/octet-stream",
            )
        if not kind.startswith("multipart/"):
            async with self.body(request) as content:
                if not content:
                    raise Problem(422, "the body is empty; send an image")
                yield [Upload("", content)]
            return
        with self._chunks(request) as chunks:
            with self._patience():
                uploads = await self._parts(request, given, chunks)
            yield uploads

    async def _parts(
        self, request: Request, kind: str, chunks: AsyncGenerator[bytes, None]
    ) -> list[Upload]:
        size = _declared(request)
        if size is not None and size <= _SMALL:
            body = b"".join([chunk async for chunk in chunks])
            if upload := read_one_file(kind, body):
                return [upload]
            chunks = _in_pieces(body)
        parser = MultiPartParser(
            request.headers, chunks, max_files=self._limits.max_images, max_fields=0
        )
        parser.spool_max_size = self._limits.max_body + 1  # never to disk
        try:
            form = await parser.parse()
        # A UnicodeError if it is not in the charset that it declares.
        except (MultiPartException, FormParserError, UnicodeError) as error:
            raise Problem(422, f"the multipart body cannot be read: {error}") from error
        uploads = [
            Upload(shown((part.filename or "")[:_LONGEST_NAME]), part.file.read())
            for _, part in form.multi_items()
            if isinstance(part, UploadFile)
        ]
        await form.close()
        if not uploads:
            raise Problem(422, "the multipart body holds no complete image; send each as a file")
        return uploads

    @contextmanager
    def _chunks(self, request: Request) -> Iterator[AsyncGenerator[bytes, None]]:
        """Give the chunks of a body; what they hold is released at the end."""
        held = 0
        encoding = request.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise Problem(415, f"the body is encoded as {encoding}; send it as it is")

        async def chunks() -> AsyncGenerator[bytes, None]:
            nonlocal held
            self._check_size(_declared(request) or 0)
            received, more_body = 0, True
            while more_body:
                # Not Request.stream(), a second generator around the same.
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk, more_body = message.get("body", b""), message.get("more_body", False)
                received += len(chunk)
                self._check_size(received)
                more = max(0, received - _FREE - held)
                if more > self._free:
                    raise overloaded("too many large requests are being received")
                held += more
                self._free -= more
                yield chunk

        try:
            yield chunks()
        finally:
            self._free += held

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_body:
            raise Problem(
                413,
                f"the body exceeds {self._limits.max_body:,} bytes; send fewer or smaller images",
            )

    @contextmanager
    def _patience(self) -> Iterator[None]:
        seconds = self._limits.read_timeout
        late = Problem(408, f"the body did not arrive within {seconds:g} seconds; send it again")
        with interruptible(seconds, late):
            yield


def read_one_file(kind: str, body: bytes) -> Upload | None:
    """Read a form of one file as most clients write it, much faster than a general parser.

    Args:
        kind: The header Content-Type.
        body: The complete body.

    Returns:
        What the general parser gives; None for anything else, which is to be left to it.
    """
    form = _FORM.fullmatch(kind)
    if form is None:
        return None
    boundary = b"--" + form[1].encode()
    start = len(boundary) + 2
    head = _FILE.match(body, start)
    if head is None or not body.startswith(boundary + b"\r\n"):
        return None
    end = body.find(b"\r\n" + boundary, head.end())
    if end < 0 or body[end + 2 + len(boundary) :] != b"--\r\n":
        return None
    return Upload(shown(head[1].decode()), body[head.end() : end])


@contextmanager
def interruptible(seconds: float, late: Exception) -> Iterator[Callable[[Exception], None]]:
    """Let an error end what the current task awaits; `asyncio.wait` would need a second task.

    Args:
        seconds: After this time, `late` is raised.
        late: An error.

    Yields:
        A function of an error, which is raised in the task if it is still in this context.
    """
    task = asyncio.current_task()
    assert task is not None
    errors: list[Exception] = []
    is_open = True

    def interrupt(error: Exception) -> None:
        if is_open and not errors:
            errors.append(error)
            task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, interrupt, late)
    try:
        yield interrupt
    except asyncio.CancelledError:
        if not errors:
            raise
        raise errors[0] from None
    finally:
        is_open = False
        timer.cancel()
        if errors and hasattr(task, "uncancel"):  # since Python 3.11
            task.uncancel()


def _declared(request: Request) -> int | None:
    """Return how many bytes a body has according to its headers."""
    size = request.headers.get("content-length", "")
    return int(size) if size.isdecimal() else None


async def _in_pieces(body: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), _FREE):
        yield body[start : start + _FREE]
        await asyncio.sleep(0)  # others have a turn
