"""What every HTTP handler needs of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from catalog.errors import UsageError
from registry_server.engine import Engine, Model
from registry_server.errors import TooLarge
from registry_server.protocol import parse_json

MODEL = "/v2/models/{name}"
VERSION = MODEL + "/versions/{version}"
_PATIENCE = 0.005  # seconds: most requests are answered by then, and watching a client costs
_T = TypeVar("_T")


def engine_of(request: Request) -> Engine:
    """The engine that answers."""
    engine: Engine = request.app.state.engine
    return engine


def address_of(request: Request) -> tuple[str, str | None]:
    """The name and the version of the address."""
    # Not function parameters: FastAPI would then also take a version from the query string.
    return request.path_params["name"], request.path_params.get("version")


async def model_of(request: Request) -> Model:
    """The model that the address names, loaded."""
    return await engine_of(request).model(*address_of(request))


async def small_json(request: Request, limit: int = 4096) -> dict[str, Any]:
    """A JSON object of few bytes, because it is parsed on the event loop; none is empty."""
    async with request.app.state.intake.body(request) as body:
        if len(body) > limit:
            raise TooLarge(f"the body is above the limit of {limit} bytes")
        document = parse_json(bytes(body)) if body else {}
    if not isinstance(document, dict):
        raise UsageError("the body must be a JSON object or empty")
    return document


async def unless_gone(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """Await `work`, but cancel it if the client closes the connection. The body must be read."""
    task = asyncio.ensure_future(work)
    gone: asyncio.Future[Any] | None = None
    try:
        await asyncio.wait({task}, timeout=_PATIENCE)
        if not task.done():
            gone = asyncio.ensure_future(request.receive())
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise UsageError("the connection closed before the answer was ready")
        return task.result()
    finally:
        for it in (task, gone):
            if it is not None:
                it.cancel()
