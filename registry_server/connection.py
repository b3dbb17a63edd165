"""One HTTP connection: how long it may say nothing, how slowly it may read, and how many there are.

uvicorn waits without end for the first request, for the rest of a header and for a client that does
not read, and its parser holds headers of any length. Anybody could thus take every descriptor and
all memory of the process, without a token.
"""

from __future__ import annotations

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from registry_server.refusal import error_body

_PATIENCE = 60.0  # seconds without a complete header, or in which too little is read
_LOOK = 5.0  # seconds between two looks at a connection
_LEAST = 1 << 20  # bytes of a large answer that a client reads in that time
_HEAD = 64 << 10  # bytes of a header, or of what is between the pieces of a body
MOST_HEADERS = 128
_CLOSING = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
_AHEAD = 64  # requests that a client may send before it has read the first answer


def most_connections() -> int:
    """Half of the descriptors that this process may have; the rest is for files and gRPC."""
    return max(1, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 16) // 2)


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with bounds, and with our error shape for bytes that are not HTTP."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to watch; where there are too many, the longest idle one leaves."""
        super().connection_made(transport)
        self._since, self._refused = self.loop.time(), False
        self._stuck: tuple[float, int] | None = None  # since when, and with how many bytes
        self._due: tuple[int, str] | None = None  # a refusal, after the answers that are owed
        self._heard, self._unheard = False, 0  # whether bytes became something; those that did not
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
            return
        self._heard = False
        super().data_received(data)
        self._unheard = 0 if self._heard else self._unheard + len(data)
        if self._unheard > _HEAD:
            self._refuse(431, f"the header is above the limit of {_HEAD} bytes")

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._heard = True
        # Raised in here, anything means that the request is not valid.
        if len(self.headers) > MOST_HEADERS or len(self.pipeline) >= _AHEAD:
            raise ValueError("too much")
        super().on_headers_complete()
        self.headers = []  # what follows a body is none of the application's headers

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._heard = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a body."""
        self._heard = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request from now on."""
        self._since = self.loop.time()
        if self._due and not (self.pipeline and not self.pipeline[-1][0].more_body):
            self.pipeline.clear()
            self._refuse(*self._due)
        else:
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

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the request is answered, and the log is not a client's to fill."""

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
        """Say why and close, once the requests before have their answers."""
        cycle = self.cycle
        if self.pipeline or not (self.idle or cycle.more_body):
            self._due = status, text
            self.flow.pause_reading()
            return
        if not self.transport.is_closing() and (self.idle or not cycle.response_started):
            body = error_body(text)
            head = (
                b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()
