"""Every call goes through the layers of an HTTP request: the guard and, if there is one, the door.

To them it is a request for the address where HTTP has the same, so one policy table, one audit log
and one log of requests hold for both, and an error is the same sentence.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.errors import CatalogError
from registry_server.auth.caller import Unknown
from registry_server.auth.door import Access, Door
from registry_server.guard import Guard, Hosts
from registry_server.refusal import refusal, refusal_of

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.UNIMPLEMENTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_WORK = "catalog.grpc"  # key of a scope
# grpc.aio does not tell the name under which a client reached us, and no web page can make a
# browser speak gRPC: the trick that a host check is against does not exist here.
_HOST = (b"host", b"localhost")

Work = Callable[[Scope], Awaitable[None]]


class Gate:
    """The layers; without `access` everybody may do everything."""

    def __init__(self, access: Access | None = None) -> None:
        layers: ASGIApp = _inside if access is None else Door(_inside, access)
        self._layers = Guard(layers, Hosts("localhost"))

    async def through(self, path: str, context: Any, work: Work) -> None:
        """Do the work of a call if its caller may; else, or if that fails, set the status."""
        tokens = [
            (b"authorization", value.encode() if isinstance(value, str) else value)
            for key, value in context.invocation_metadata()
            if key == "authorization"
        ]
        scope = {
            "type": "http",
            "method": "gRPC",
            "path": path,
            "headers": [_HOST, *tokens],
            "client": (_address(context.peer()), 0),
            "state": {},
            _WORK: work,
        }
        status, body = 500, b""

        async def send(message: Message) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")

        await self._layers(scope, _nothing, send)
        if status != 200:
            context.set_code(_CODES.get(status, grpc.StatusCode.INTERNAL))
            context.set_details(json.loads(body)["error"])


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


def _address(peer: str) -> str:
    """The address of `ipv4:127.0.0.1:5000` and its like."""
    return peer.partition(":")[2].rpartition(":")[0] or peer
