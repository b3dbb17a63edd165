"""The short way of an inference request: from the parser to the engine, past the application.

FastAPI, the guard and the door cost several times what the engine does for a small model. What a
plain request of a known caller needs of them is done here, by the same functions. Every other
request goes the long way: it is not the first of its caller in this second, it is chunked, encoded,
from a browser, large, ahead of an answer, on a connection that shall close, or not for `infer`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from catalog.errors import CatalogError
from registry_server.body import Intake
from registry_server.connection import MOST_HEADERS, Connection
from registry_server.engine import Engine
from registry_server.errors import Busy
from registry_server.guard import Hosts, internal_error, log_request, new_id
from registry_server.inference import BINARY, HEADER_LENGTH, JSON, Answer, answer
from registry_server.protocol import Part
from registry_server.refusal import refusal, refusal_of

_SECONDS = 1.0  # that a caller is known for: a token that is revoked is of no use after it
_CALLERS = 4096
_LARGEST = 256 << 10  # bytes of a body; a larger one costs more than its way
_JOINED = 4096  # bytes of an answer up to which one write is cheaper than several buffers
_ADDRESS = re.compile(
    rb"/v2/models/([A-Za-z0-9._~-]{1,128})(?:/versions/([A-Za-z0-9._~-]{1,128}))?/infer"
)
_HOST, _CREDENTIALS, _SIZE, _LENGTH, _LONG = range(5)
_MEANING = {
    b"host": _HOST,
    b"authorization": _CREDENTIALS,
    b"content-length": _SIZE,
    HEADER_LENGTH.encode(): _LENGTH,
    **dict.fromkeys(
        (b"content-encoding", b"cookie", b"expect", b"origin", b"sec-fetch-site",
         b"transfer-encoding", b"upgrade"),
        _LONG,
    ),
}  # fmt: skip
_JSON = f"content-type: {JSON}\r\ncontent-length: %d\r\n".encode()
_BINARY = f"content-type: {BINARY}\r\n{HEADER_LENGTH}: %d\r\ncontent-length: %d\r\n".encode()

Header = tuple[bytes, bytes]


class Asked(NamedTuple):
    """What the header of a request says that may go the short way."""

    path: str
    name: str
    version: str | None
    length: str | None  # of the JSON


class Shortcut:
    """Which requests may go the short way, and what they need there."""

    def __init__(self, engine: Engine, intake: Intake, hosts: Hosts) -> None:
        self.engine, self.intake = engine, intake
        self._allows = lru_cache(256)(hosts.allows)
        self._known: dict[bytes, float] = {}  # until when, by the hash of the credentials

    def let_in(self, headers: Iterable[Header]) -> None:
        """Remember for a second that the application let these credentials, or none, infer."""
        found = [value for name, value in headers if _MEANING.get(name) == _CREDENTIALS]
        if len(found) > 1 or any(name == b"cookie" for name, _ in headers):
            return
        key = _hash(found[0] if found else b"")
        self._known.pop(key, None)
        self._known[key] = time.monotonic() + _SECONDS
        if len(self._known) > _CALLERS:
            self._known.pop(next(iter(self._known)))

    def look(self, url: bytes, headers: Iterable[Header]) -> Asked | None:
        """Read a header; None if the request must go the long way."""
        path = _ADDRESS.fullmatch(url)
        if path is None:
            return None
        found: list[bytes | None] = [None, None, None, None]
        for name, value in headers:
            meaning = _MEANING.get(name)
            if meaning is None:
                continue
            if meaning == _LONG or found[meaning] is not None:
                return None
            found[meaning] = value
        host, credentials, size, length = found
        if host is None or size is None or int(size) > _LARGEST:
            return None
        if int(size) > self.engine.limits.body or not self._allows(host.decode("latin-1")):
            return None
        if self._known.get(_hash(credentials or b""), 0.0) < time.monotonic():
            return None
        return Asked(
            url.decode("ascii"),
            path[1].decode("ascii"),
            path[2].decode("ascii") if path[2] else None,
            None if length is None else length.decode("latin-1"),
        )


class Request:
    """A request on the short way. To uvicorn it looks like one of its own."""

    message_event = asyncio.Event()  # set when a client leaves: nobody waits for it here
    response_started = disconnected = response_complete = False
    more_body = keep_alive = True
    task: asyncio.Task[None] | None = None

    def __init__(self, short: Shortcut, asked: Asked, start: float) -> None:
        self.short, self.asked, self.start = short, asked, start
        self.body: bytes | bytearray = b""
        self.held = 0  # bytes of it that count as held

    def add(self, body: bytes) -> None:
        """Take a piece of the body.

        Raises
        ------
        Busy
        """
        self.short.intake.hold(len(body))
        self.held += len(body)
        if not self.body:
            self.body = body  # nearly always the whole
        else:
            self.body = bytearray(self.body) if isinstance(self.body, bytes) else self.body
            self.body += body

    def release(self) -> None:
        """Count its bytes no longer."""
        self.short.intake.release(self.held)
        self.held = 0


class ShortConnection(Connection):
    """A connection whose inference requests go the short way where they can."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        state = getattr(self.config.app, "state", None)
        self._short: Shortcut | None = getattr(state, "shortcut", None)
        self._request: Request | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what nobody waits for."""
        if self._request is not None:
            if self._request.task is not None:
                self._request.task.cancel()
            self._request.release()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Choose the way."""
        request = self._on_short_way()
        if request is None:
            super().on_headers_complete()
        else:
            self._heard = True
            self.cycle = self._request = request  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        request = self._request
        if request is None or not request.more_body:
            super().on_body(body)
            return
        self._heard = True
        try:
            request.add(body)
        except Busy:
            self._go_long_way(request)  # where it is refused
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a body."""
        request = self._request
        if request is None or not request.more_body:
            super().on_message_complete()
            return
        self._heard, request.more_body = True, False
        request.task = self.loop.create_task(self._answer(request))

    def _look(self) -> None:
        if self._request is not None and self._request.more_body:
            self._go_long_way(self._request)  # where it has its time
        super()._look()

    def _on_short_way(self) -> Request | None:
        """The request whose header is complete, if it may go there."""
        parser = self.parser
        if (
            self._short is None
            or not self.idle
            or self.flow.write_paused
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or len(self.headers) > MOST_HEADERS
        ):
            return None
        asked = self._short.look(self.url, self.headers)
        return Request(self._short, asked, self.loop.time()) if asked else None

    def _go_long_way(self, request: Request) -> None:
        self._request = self.cycle = None  # type: ignore[assignment]
        request.release()
        super().on_headers_complete()
        if request.body:
            super().on_body(bytes(request.body))

    async def _answer(self, request: Request) -> None:
        asked, short, status = request.asked, request.short, 200
        identity, started = new_id(), time.perf_counter()
        try:
            found = await answer(
                short.engine, asked.name, asked.version, request.body, asked.length, request.start
            )
            with found.held(short.intake):
                self._send(request, status, _told(found), found.parts, identity)
                await self.flow.drain()
        except Exception as exc:  # noqa: BLE001  the server's own boundary: nothing may leak past it
            refused = _refused(exc, identity)
            status = refused.status_code
            told = b"".join(b"%s: %s\r\n" % header for header in refused.raw_headers)
            self._send(request, status, told, [bytes(refused.body)], identity)
            request.keep_alive &= "connection" not in refused.headers
        finally:
            request.release()
        log_request(identity, "POST", asked.path, status, started)
        request.response_complete, self._request = True, None
        if not request.keep_alive:
            self.transport.close()
        elif self.pipeline or self._due or self.flow.read_paused:
            self.on_response_complete()
        else:
            self._since = self.loop.time()

    def _send(
        self, request: Request, status: int, told: bytes, parts: list[Part], identity: str
    ) -> None:
        request.response_started = True
        date = b"".join(b"%s: %s\r\n" % header for header in self.server_state.default_headers)
        close = b"" if request.keep_alive else b"connection: close\r\n"
        head = b"%s%s%s%sx-request-id: %s\r\nx-content-type-options: nosniff\r\n\r\n" % (
            STATUS_LINE[status], date, told, close, identity.encode("ascii"),
        )  # fmt: skip
        if sum(map(len, parts)) <= _JOINED:
            self.transport.write(b"".join((head, *parts)))
        else:
            self.transport.writelines((head, *parts))


def _told(found: Answer) -> bytes:
    if found.length is None:
        return _JSON % found.size
    return _BINARY % (found.length, found.size)


def _refused(error: Exception, identity: str) -> Response:
    if isinstance(error, CatalogError):
        with suppress(CatalogError):  # its message is not for the caller
            return refusal_of(error, identity)
    return refusal(500, *internal_error(identity))


def _hash(credentials: bytes) -> bytes:
    return hashlib.sha256(credentials).digest()
