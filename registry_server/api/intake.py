"""Bodies of /api: none is larger than it may be, and none is waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.errors import UsageError

_LIMIT = "body_limit"  # in the state of a request: bytes it may send


class Bounded:
    """ASGI middleware that counts the bytes of a body while they arrive.

    FastAPI reads a JSON body whole before a route is asked; a route that takes a file raises its
    own limit with `expect` before it reads.
    """

    def __init__(self, app: ASGIApp, size: int, idle: float) -> None:
        self._app, self._size, self._idle = app, size, idle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with a `receive` that refuses in time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state, size, done = scope.setdefault("state", {}), 0, False
        state[_LIMIT] = self._size

        async def counted() -> Message:
            nonlocal size, done
            if done:  # waiting for the client to leave, which may take as long as the answer
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._idle)
            except TimeoutError as exc:
                raise HTTPException(408, f"no byte of the body for {self._idle:g} s") from exc
            size += len(message.get("body", b""))
            done = not message.get("more_body", False)
            if size > state[_LIMIT]:
                raise HTTPException(413, f"the body is above the limit of {state[_LIMIT]} bytes")
            return message

        await self._app(scope, counted, send)


def expect(request: Request, size: int) -> None:
    """Allow a body of `size` bytes, and refuse one that says it is larger before it is sent."""
    request.scope["state"][_LIMIT] = size
    if int(request.headers.get("content-length", "0")) > size:
        raise HTTPException(413, f"the body is above the limit of {size} bytes")


async def pieces(request: Request, size: int = 1 << 20) -> AsyncIterator[bytes]:
    """A body in pieces of at least `size` bytes, but for the last: fewer visits to a thread.

    What arrived before the client left is given, too.

    Raises
    ------
    UsageError
        The client left.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "send the body uncompressed")
    held = bytearray()
    try:
        async for chunk in request.stream():
            held += chunk
            if len(held) >= size:
                yield bytes(held)
                held.clear()
    except ClientDisconnect as exc:
        if held:
            yield bytes(held)
        raise UsageError("the connection closed before the body was complete") from exc
    except HTTPException:
        if held:
            yield bytes(held)
        raise
    if held:
        yield bytes(held)
