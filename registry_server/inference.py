"""Running a model over HTTP: on tensors, or on particles and energies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from catalog.errors import UsageError
from registry_server.asked import MODEL, VERSION, address_of, engine_of, small_json, unless_gone
from registry_server.body import Intake
from registry_server.describe import identity
from registry_server.engine import Engine, Model
from registry_server.generating import generated, read_order
from registry_server.protocol import Request as Asked
from registry_server.protocol import decode, encode
from registry_server.tensors import Array

_HEADER_LENGTH = "inference-header-content-length"
# Up to these sizes, coding on the event loop takes less than a visit to a thread costs.
_SMALL_BODY = 16 << 10  # bytes
_SMALL_ORDER = 64 << 10  # bytes
_SMALL_RAW = 256 << 10  # bytes
_SMALL_JSON = 512  # elements
_SMALL_ANSWER = 1 << 20  # bytes: up to here a client that does not read costs little

router = APIRouter()


@router.post(MODEL + "/infer")
@router.post(VERSION + "/infer")
async def infer(request: Request) -> Response:
    """Run a model on tensors."""
    engine = engine_of(request)
    start = asyncio.get_running_loop().time()
    lengths = request.headers.getlist(_HEADER_LENGTH)
    if len(lengths) > 1:
        raise UsageError("Inference-Header-Content-Length is there twice")
    intake: Intake = request.app.state.intake
    async with intake.body(request) as body:
        args = (body, lengths[0] if lengths else None, engine.limits)
        small = len(body) <= _SMALL_BODY
        asked = decode(*args) if small else await engine.in_thread(decode, *args)
        model, outputs = await unless_gone(
            request,
            engine.infer(
                *address_of(request),
                asked.inputs,
                list(asked.outputs),
                deadline=None if asked.seconds is None else start + asked.seconds,
            ),
        )
        return await _answer(engine, intake, model, asked, outputs)


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
    intake = request.app.state.intake
    return await _answer(engine, intake, model, asked, {"showers": showers}, said)


async def _answer(
    engine: Engine,
    intake: Intake,
    model: Model,
    asked: Asked,
    outputs: Mapping[str, Array],
    said: Mapping[str, Any] | None = None,
) -> Response:
    head = {
        "model_name": model.name,
        "model_version": str(model.version),
        "parameters": {**identity(model), **(said or {})},
    }
    args = (head, asked, outputs, engine.limits)
    small = all(_is_small(array, asked.is_binary(name)) for name, array in outputs.items())
    answer, length = encode(*args) if small else await engine.in_thread(encode, *args)
    headers, kind = None, "application/json"
    if length is not None:
        headers, kind = {_HEADER_LENGTH: str(length)}, "application/octet-stream"
    if len(answer) <= _SMALL_ANSWER:
        return Response(answer, 200, headers, kind)
    return _Held(intake, answer, headers, kind)


class _Held(Response):
    """A large answer: until its client has read it, it counts as bytes that the server holds."""

    def __init__(
        self, intake: Intake, answer: bytes, headers: Mapping[str, str] | None, kind: str
    ) -> None:
        super().__init__(answer, 200, headers, kind)
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._intake.holding(len(self.body)):
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
            # It is this one that waits until the client has read the other.
            await send({"type": "http.response.body", "body": b""})


def _is_small(array: Array, binary: bool) -> bool:
    if binary and array.dtype != object:
        return array.nbytes <= _SMALL_RAW
    return array.size <= _SMALL_JSON
