"""Every call goes through the layers of an HTTP request: the guard and, if there is one, the door.

To them it is a request for the address where HTTP has the same, so one policy table, one audit log
and one log of requests hold for both, and an error is the same sentence. Who was let in to run a
model goes past them for a second, as over HTTP: they cost more than a small model does.

The host check of HTTP has nothing to do here: it is against web pages, and none can make a browser
speak gRPC.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.errors import CatalogError
from registry_server.auth.caller import Unknown
from registry_server.auth.door import Access, Door
from registry_server.guard import Guard, Hosts, internal_error, log_request, new_id
from registry_server.http2.stream import Stream
from registry_server.inference_grpc.rpc import Asked, Status
from registry_server.refusal import refusal, refusal_of

CODES = {
    400: Status.INVALID_ARGUMENT,
    401: Status.UNAUTHENTICATED,
    403: Status.PERMISSION_DENIED,
    404: Status.NOT_FOUND,
    408: Status.DEADLINE_EXCEEDED,
    413: Status.RESOURCE_EXHAUSTED,
    415: Status.UNIMPLEMENTED,
    422: Status.INVALID_ARGUMENT,
    429: Status.RESOURCE_EXHAUSTED,
    502: Status.UNAVAILABLE,
    503: Status.UNAVAILABLE,
    504: Status.DEADLINE_EXCEEDED,
    507: Status.RESOURCE_EXHAUSTED,
}
_SECONDS = 1.0  # that a caller is known for: a token that is revoked is of no use after it
_CALLERS = 4096
_WORK = "catalog.grpc"  # key of a scope
_HOST = (b"host", b"localhost")

Work = Callable[[Scope], Awaitable[None]]


class Refusal(NamedTuple):
    """How a call ends that is not answered."""

    status: Status
    text: str


class Gate:
    """The layers; without `access` everybody may do everything."""

    def __init__(self, access: Access | None = None) -> None:
        layers: ASGIApp = _inside if access is None else Door(_inside, access)
        self._layers = Guard(layers, Hosts("localhost"))
        self._known: dict[tuple[bytes, ...], float] = {}  # until when, by the tokens sent

    async def to_run(self, path: str, stream: Stream[Asked], work: Work) -> Refusal | None:
        """Do as `through` does, past the layers for whom they let in within the last second."""
        tokens, now = stream.asked.tokens, time.monotonic()
        if self._known.get(tokens, 0.0) >= now:
            return await _past(path, work)
        refused = await self.through(path, stream, work)
        if refused is None:
            self._known.pop(tokens, None)
            self._known[tokens] = now + _SECONDS
            if len(self._known) > _CALLERS:
                self._known.pop(next(iter(self._known)))
        return refused

    async def through(self, path: str, stream: Stream[Asked], work: Work) -> Refusal | None:
        """Do the work of a call if its caller may; else, or if that fails, say why."""
        scope = {
            "type": "http",
            "method": "gRPC",
            "path": path,
            "headers": [_HOST, *((b"authorization", it) for it in stream.asked.tokens)],
            "client": (stream.peer, 0),
            "state": {},
            _WORK: work,
        }
        status, body = 500, b""

        async def send(message: Message) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")

        await self._layers(scope, _nothing, send)
        if status == 200:
            return None
        return _refusal(status, body)


async def _past(path: str, work: Work) -> Refusal | None:
    """What the guard does, for a caller that is known."""
    identity, started = new_id(), time.perf_counter()
    scope: dict[str, Any] = {"path": path, "state": {"request_id": identity}}
    answer = None
    try:
        await work(scope)
    except Exception as exc:  # noqa: BLE001  the server's own boundary: nothing may leak past it
        answer = _refused(exc, identity)
    log_request(identity, "gRPC", scope["path"], answer.status_code if answer else 200, started)
    return _refusal(answer.status_code, bytes(answer.body)) if answer else None


def _refused(error: Exception, identity: str) -> Response:
    if isinstance(error, CatalogError):
        with suppress(CatalogError):  # its message is not for the caller
            return refusal_of(error, identity)
    return refusal(500, *internal_error(identity))


def _refusal(status: int, body: bytes) -> Refusal:
    return Refusal(CODES.get(status, Status.INTERNAL), json.loads(body)["error"])


def sentence(error: CatalogError, scope: Scope) -> str:
    """What a caller is told of an error.

    Raises
    ------
    CatalogError
        Itself, if it must not be shown.
    """
    answer = refusal_of(error, scope["state"]["request_id"])
    text: str = json.loads(bytes(answer.body))["error"]
    return text


async def _inside(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await scope[_WORK](scope)
    except Unknown:
        await refusal(401, "the token is not valid any more", "")(scope, receive, send)
        return
    except CatalogError as exc:
        await refusal_of(exc, scope["state"]["request_id"])(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
