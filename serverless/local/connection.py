"""uvicorn's HTTP connection with an end to everything: many of them, long headers on the way, answers nobody reads."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 256
HEADER_SECONDS = 10.0
"""From the first byte of a request, or from the connection, to the end of its headers."""
READ_SECONDS = 60.0
"""Limit on reading a request's body, and on what the client must do after the answer: take it, end the body."""
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BoundedConnection(H11Protocol):
    """One connection; what takes too long is cut."""

    _end: asyncio.TimerHandle | None = None
    _said_all = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self.transport.write(BUSY)
            self.transport.close()
        self._cut_in(HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; once its headers are complete the application counts the time."""
        super().data_received(data)
        self._count()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio lets it say whether to go on
        """The client will send nothing more; what it has asked in whole is answered still."""
        self._said_all = True
        return self._answering() and self.conn.their_state is h11.DONE

    def on_response_complete(self) -> None:
        """An answer is on its way, and perhaps the next request was here already."""
        super().on_response_complete()
        self._cut_in(READ_SECONDS)
        self._count()
        if self._said_all and not self._answering():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._cut_in(None)
        super().connection_lost(exc)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _count(self) -> None:
        if self._answering():
            self._cut_in(None)

    def _cut_in(self, seconds: float | None) -> None:
        """Close the connection after so many seconds, whatever is still to be written; None for never."""
        if self._end is not None:
            self._end.cancel()
        self._end = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
