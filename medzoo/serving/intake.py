"""Receiving images: how large a request may be, how long it may take, what is in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from anyio import fail_after
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from medzoo.serving.limits import Limits
from medzoo.serving.problems import Problem, overloaded, shown

_FREE = 64 << 10
"""Bytes of each request that do not count, so that large ones do not keep small ones out."""
_LONGEST_NAME = 200  # characters
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
        async with self._chunks(request) as chunks:
            with _patience(self._limits.read_timeout):
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
        kind = request.headers.get("content-type", "").strip().lower()
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
        async with self._chunks(request) as chunks:
            with _patience(self._limits.read_timeout):
                uploads = await self._parts(request, chunks)
            yield uploads

    async def _parts(self, request: Request, chunks: AsyncGenerator[bytes, None]) -> list[Upload]:
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

    @asynccontextmanager
    async def _chunks(self, request: Request) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """Give the chunks of a body; what they hold is released at the end."""
        held = 0
        encoding = request.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise Problem(415, f"the body is encoded as {encoding}; send it as it is")
        declared = request.headers.get("content-length", "")
        too_large = Problem(
            413, f"the body exceeds {self._limits.max_body:,} bytes; send fewer or smaller images"
        )

        async def chunks() -> AsyncGenerator[bytes, None]:
            nonlocal held
            received = 0
            if declared.isdecimal() and int(declared) > self._limits.max_body:
                raise too_large
            async for chunk in request.stream():
                received += len(chunk)
                if received > self._limits.max_body:
                    raise too_large
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


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    try:
        with fail_after(seconds):
            yield
    except TimeoutError as error:
        raise Problem(
            408, f"the body did not arrive within {seconds:g} seconds; send it again"
        ) from error
