"""One connection of uvicorn, with limits that uvicorn leaves to a proxy in front of it."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MAX_HEAD = 64 << 10  # bytes around a body: headers, trailers, sizes of chunks
_MAX_AHEAD = 100  # requests that a client may send before earlier ones are answered
_PATIENCE = 10.0  # seconds in which the headers of a request have to arrive
_REST = 30.0  # seconds in which the rest of a body is discarded, or of an answer is read


class _OpenTransport:
    """A transport that drops what is written to a client that has gone.

    uvloop raises an error instead, from the moment at which it notices until it says so.

    Args:
        transport: The transport.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write if anybody may receive it."""
        if not self._transport.is_closing():
            self._transport.write(data)


class Connection(HttpToolsProtocol):
    """Ends connections on which nothing moves: neither a request, nor its answer to the client."""

    _timer: TimerHandle | None = None
    _reading: TimerHandle | None = None  # of an answer, by the client
    _received = 0  # bytes of the current request
    _body = 0  # bytes of its body

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(_OpenTransport(transport))  # type: ignore[arg-type]
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        self._stop_reading()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what has arrived, unless it is too much."""
        self._received += len(data)
        super().data_received(data)
        around = self._received - self._body
        if around > _MAX_HEAD + self._body and not self.transport.is_closing():
            self.send_400_response("The headers of the request are too long.")

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._give_up_later()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        self._stop_reading()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection when everything that was written is read, or else after a while."""
        super().timeout_keep_alive_handler()
        self._give_up_later()

    def on_message_begin(self) -> None:
        """Begin a request, possibly a later one on the same connection."""
        super().on_message_begin()
        self._received = self._body = 0
        self._await_headers()

    def on_headers_complete(self) -> None:
        """Begin to answer.

        Raises:
            ValueError: If too many requests wait for their turn; the connection is then closed.
        """
        if len(self.pipeline) >= _MAX_AHEAD:
            raise ValueError
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body."""
        self._body += len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Let a client that was answered early send the rest, which is discarded, for a while.

        If the connection were closed at once, the client could not read why it was refused.
        """
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self.pipeline:  # these come first, before more is received
            self.flow.pause_reading()
        if self.cycle.more_body:
            self._stop_waiting()
            self._timer = self.loop.call_later(_REST, self.timeout_keep_alive_handler)

    def on_message_complete(self) -> None:
        """End a request."""
        if self.cycle.response_complete:
            self._stop_waiting()
        super().on_message_complete()

    def _await_headers(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(_PATIENCE, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _give_up_later(self) -> None:
        self._stop_reading()
        self._reading = self.loop.call_later(_REST, self.transport.abort)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading.cancel()
            self._reading = None
