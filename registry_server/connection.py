"""One HTTP connection: how long it may say nothing, how slowly it may read, and how many there are.

uvicorn waits without end for the first request, for the rest of a header and for a client that does
not read. Anybody could thus take every descriptor of the process, without a token.
"""

from __future__ import annotations

import asyncio
import resource
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from registry_server.refusal import error_body

_PATIENCE = 60.0  # seconds without a complete header, or in which too little is read
_LOOK = 5.0  # seconds between two looks at a connection
_LEAST = 1 << 20  # bytes of a large answer that a client reads in that time


def most_connections() -> int:
    """Half of the descriptors that this process may have; the rest is for files and gRPC."""
    return max(1, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 16) // 2)


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1, with bounds, and with our error shape for bytes that are not HTTP."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to watch; where there are too many, the longest idle one leaves."""
        super().connection_made(transport)
        self._since, self._refused = self.loop.time(), False
        self._stuck: tuple[float, int] | None = None  # since when, and with how many bytes
        self._timer = self.loop.call_later(_LOOK, self._look)
        if len(self.connections) > most_connections():
            others = [it for it in self.connections if isinstance(it, Connection) and it.idle]
            others = [it for it in others if it is not self and not it.transport.is_closing()]
            if others:
                min(others, key=lambda it: it.since).transport.abort()
            else:
                self._refused = True

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def since(self) -> float:
        """When it was made, or when its last answer was complete; in seconds of the loop."""
        return self._since

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to watch."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, unless there are too many connections."""
        if self._refused:
            self._refuse(503, "the server has as many connections as it may; try again")
        else:
            super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next request from now on."""
        self._since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self._stuck = self.loop.time(), self.transport.get_write_buffer_size()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has read nearly all."""
        self._stuck = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(400, "the request is not valid HTTP/1.1")

    def _look(self) -> None:
        now = self.loop.time()
        if self._stuck is None:
            given_up = self.idle and now - self._since >= _PATIENCE
        else:
            start, before = self._stuck
            left, given_up = self.transport.get_write_buffer_size(), False
            if now - start >= _PATIENCE:
                given_up = left > before - _LEAST
                self._stuck = now, left
        if given_up:
            self.transport.abort()  # close() would wait for what is not read
        else:
            self._timer = self.loop.call_later(_LOOK, self._look)

    def _refuse(self, status: int, text: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body, reason = error_body(text), HTTPStatus(status).phrase.encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode("ascii")),
                (b"connection", b"close"),
            ]
            for event in (
                h11.Response(status_code=status, headers=headers, reason=reason),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
