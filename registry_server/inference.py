"""Running a model over HTTP: on tensors, or on particles and energies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from catalog.errors import UsageError
from registry_server.asked import MODEL, VERSION, address_of, engine_of, small_json, unless_gone
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
    async with request.app.state.intake.body(request) as body:
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
        return await _answer(engine, model, asked, outputs)


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
    return await _answer(engine, model, asked, {"showers": showers}, said)


async def _answer(
    engine: Engine,
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
    if length is None:
        return Response(answer, media_type="application/json")
    return Response(answer, 200, {_HEADER_LENGTH: str(length)}, "application/octet-stream")


def _is_small(array: Array, binary: bool) -> bool:
    if binary and array.dtype != object:
        return array.nbytes <= _SMALL_RAW
    return array.size <= _SMALL_JSON
