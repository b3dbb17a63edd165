"""Running a model over HTTP: on tensors, or on particles and energies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from catalog.errors import UsageError
from registry_server.asked import MODEL, VERSION, address_of, engine_of, small_json, unless_gone
from registry_server.body import Intake
from registry_server.describe import identity
from registry_server.engine import Engine, Found, Model
from registry_server.generating import generated, read_order
from registry_server.protocol import Part, decode, encode
from registry_server.protocol import Request as Asked
from registry_server.tensors import Array

JSON, BINARY = "application/json", "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"
# Up to these sizes, coding on the event loop takes less than a visit to a thread costs.
_SMALL_BODY = 16 << 10  # bytes
_SMALL_ORDER = 64 << 10  # bytes
_SMALL_JSON = 512  # elements
_SMALL_ANSWER = 1 << 20  # bytes: up to here a client that does not read costs little

router = APIRouter()


@dataclass(frozen=True)
class Answer:
    """An answer as bytes. `length` is that of its JSON where raw tensors follow, else None."""

    parts: list[Part]
    length: int | None
    size: int  # bytes

    def held(self, intake: Intake) -> Any:
        """A block for which a large answer counts among the bytes that the server holds.

        Raises
        ------
        Busy
        """
        return intake.holding(self.size) if self.size > _SMALL_ANSWER else nullcontext()


@router.post(MODEL + "/infer")
@router.post(VERSION + "/infer")
async def infer(request: Request) -> Response:
    """Run a model on tensors."""
    state, start = request.app.state, asyncio.get_running_loop().time()
    state.shortcut.let_in(request.headers.raw)
    lengths = request.headers.getlist(HEADER_LENGTH)
    if len(lengths) > 1:
        raise UsageError("Inference-Header-Content-Length is there twice")
    length = lengths[0] if lengths else None
    async with state.intake.body(request) as body:
        work = answer(state.engine, *address_of(request), body, length, start)
        return _Sent(state.intake, await unless_gone(request, work))


@router.post(MODEL + "/generate")
@router.post(VERSION + "/generate")
async def generate(request: Request) -> Response:
    """Ask a generator for showers of a particle and an energy."""
    engine = engine_of(request)
    order = read_order(await small_json(request, _SMALL_ORDER), engine.limits)
    model, showers, remarks = await unless_gone(
        request, generated(engine, *address_of(request), order)
    )
    said = {"unit": "GeV", **({"outside": remarks} if remarks else {})}
    asked = Asked(None, {}, {}, order.binary)
    found = await _encoded(engine, model, asked, {"showers": showers}, said)
    return _Sent(request.app.state.intake, found)


async def answer(
    engine: Engine,
    name: str,
    version: str | None,
    body: bytes | bytearray,
    header_length: str | None,
    start: float,
) -> Answer:
    """From the body of a request to its answer: what every way over HTTP has in common.

    header_length : the text of Inference-Header-Content-Length
    start : when the request came, by the clock of the event loop

    Raises
    ------
    CatalogError
    """
    args = (body, header_length, engine.limits)
    small = len(body) <= _SMALL_BODY
    asked = decode(*args) if small else await engine.in_thread(decode, *args)
    deadline = None if asked.seconds is None else start + asked.seconds
    model, outputs = await engine.infer(
        name, version, asked.inputs, list(asked.outputs), deadline=deadline
    )
    return await _encoded(engine, model, asked, outputs)


async def _encoded(
    engine: Engine,
    model: Model,
    asked: Asked,
    outputs: Mapping[str, Array],
    said: Mapping[str, str] | None = None,
) -> Answer:
    head = _head(model.name, model.version, model.digest, tuple((said or {}).items()))
    args = (head, asked, outputs, engine.limits)
    small = all(_is_small(array, asked.is_binary(name)) for name, array in outputs.items())
    parts, length = encode(*args) if small else await engine.in_thread(encode, *args)
    return Answer(parts, length, sum(map(len, parts)))


@lru_cache(1024)
def _head(name: str, version: int, digest: str, said: tuple[tuple[str, str], ...]) -> str:
    model = Found(name, version, digest)
    head = {
        "model_name": name,
        "model_version": str(version),
        "parameters": {**identity(model), **dict(said)},
    }
    return json.dumps(head, separators=(",", ":"))


class _Sent(Response):
    """An answer on its way, which waits until its client has read what is large of it."""

    def __init__(self, intake: Intake, found: Answer) -> None:
        headers = {} if found.length is None else {HEADER_LENGTH: str(found.length)}
        kind = JSON if found.length is None else BINARY
        super().__init__(None, 200, {**headers, "content-length": str(found.size)}, kind)
        self._intake, self._found = intake, found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._found.held(self._intake):
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            for part in self._found.parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            # It is this one that waits until the client has read the others.
            await send({"type": "http.response.body", "body": b""})


def _is_small(array: Array, binary: bool) -> bool:
    # What goes out raw is not touched but for strings.
    return (binary and array.dtype != object) or array.size <= _SMALL_JSON
