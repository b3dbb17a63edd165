"""The HTTP face of the engine: every route is one delegation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version as installed_version
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from catalog.errors import CatalogError, UsageError
from registry_server.body import Intake
from registry_server.engine import Engine, Found, Model, Source
from registry_server.errors import LoadFailed, RunFailed, TooLarge
from registry_server.guard import Guard, Hosts
from registry_server.protocol import decode, encode, parse_json
from registry_server.refusal import refusal, status_of
from registry_server.tensors import Limits, Tensor

_NAME = "hep-model-catalog"
_HEADER_LENGTH = "inference-header-content-length"
_INDEX_BODY = 4096  # bytes: it is parsed on the event loop
_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"
_HTTP_ERRORS = {
    404: "no such address; GET /v2 names this server, POST /v2/repository/index its models",
    405: "this address does not take that method; only infer and index are POST",
}

_log = logging.getLogger(__name__)
router = APIRouter()


def create_app(
    source: Source,
    refs: Sequence[str],
    *,
    limits: Limits | None = None,
    threads: int | None = None,
    memory: int | None = None,
    any_model: bool = False,
    host: str = "127.0.0.1",
    allow_hosts: Iterable[str] = (),
) -> FastAPI:
    """Load the models and build the application that serves them.

    Parameters
    ----------
    threads : cores to compute on; default all that this process may use
    memory : bytes that models may hold together; default half of this machine's
    any_model : also serve what `refs` do not name, loaded when it is asked for

    Raises
    ------
    CatalogError
        A model cannot be found, fetched or loaded.
    """
    engine = Engine(source, limits, threads, memory=memory, only=not any_model)
    asyncio.run(engine.pin(refs))
    app = _routes(engine)
    app.add_middleware(Guard, hosts=Hosts(host, allow_hosts))
    return app


# First, because FastAPI compares an address with every route in this order.
@router.post(_MODEL + "/infer")
@router.post(_VERSION + "/infer")
async def infer(request: Request) -> Response:
    """Run a model."""
    engine, path = _engine(request), request.path_params
    lengths = request.headers.getlist(_HEADER_LENGTH)
    if len(lengths) > 1:
        raise UsageError("Inference-Header-Content-Length is there twice")
    async with request.app.state.intake.body(request) as body:
        header_length = lengths[0] if lengths else None
        asked = await engine.in_thread(decode, body, header_length, engine.limits)
        model, outputs = await engine.infer(
            path["name"], path.get("version"), asked.inputs, list(asked.outputs)
        )
        answer, length = await engine.in_thread(
            encode, model.name, model.version, asked, outputs, engine.limits
        )
    if length is None:
        return Response(answer, media_type="application/json")
    return Response(answer, 200, {_HEADER_LENGTH: str(length)}, "application/octet-stream")


@router.get("/v2")
@router.get("/v2/")
async def server_metadata() -> Response:
    """Name, version and extensions of the server."""
    return JSONResponse(
        {
            "name": _NAME,
            "version": installed_version(_NAME),
            "extensions": ["binary_tensor_data"],
        }
    )


@router.get("/v2/health/live")
async def live() -> Response:
    """The process answers."""
    return JSONResponse({"live": True})


@router.get("/v2/health/ready")
async def ready() -> Response:
    """Every model is loaded: the server starts to listen only then."""
    return JSONResponse({"ready": True})


@router.post("/v2/repository/index")
async def index(request: Request) -> Response:
    """Every loaded version."""
    async with request.app.state.intake.body(request) as body:
        if len(body) > _INDEX_BODY:
            raise TooLarge(f"the body is above the limit of {_INDEX_BODY} bytes")
        document = parse_json(bytes(body)) if body else {}
    wanted = document.get("ready", False) if isinstance(document, dict) else None
    if not isinstance(wanted, bool):
        raise UsageError('the body must be {"ready": true}, {"ready": false} or empty')
    return JSONResponse([_entry(found, why) for found, why in await _engine(request).index()])


@router.get(_MODEL)
@router.get(_VERSION)
async def model_metadata(request: Request) -> Response:
    """Inputs, outputs and versions of a model."""
    model = await _model(request)
    versions = [found.version for found, _ in await _engine(request).index(model.name)]
    return JSONResponse(
        {
            "name": model.name,
            "versions": [str(number) for number in versions],
            "platform": "onnxruntime_onnx",
            "inputs": [_tensor(tensor) for tensor in model.inputs],
            "outputs": [_tensor(tensor) for tensor in model.outputs],
            "parameters": {"version": str(model.version), "digest": model.digest},
        }
    )


@router.get(_MODEL + "/ready")
@router.get(_VERSION + "/ready")
async def model_ready(request: Request) -> Response:
    """A model that is known is loaded."""
    return JSONResponse({"name": (await _model(request)).name, "ready": True})


def _routes(engine: Engine) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(engine.watch())
        yield
        watching.cancel()
        engine.close()

    # No documentation pages: they load scripts from elsewhere. No redirects: clients do not
    # repeat a POST.
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan
    )
    app.state.engine = engine
    app.state.intake = Intake(engine.limits)
    app.include_router(router)
    app.add_exception_handler(CatalogError, _catalog_error)
    app.add_exception_handler(HTTPException, _http_error)
    return app


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _model(request: Request) -> Model:
    # Not function parameters: FastAPI would then also take a version from the query string.
    path = request.path_params
    return await _engine(request).model(path["name"], path.get("version"))


def _entry(found: Found, why: str) -> dict[str, str]:
    return {
        "name": found.name,
        "version": str(found.version),
        "state": "UNAVAILABLE" if why else "READY",
        "reason": why,
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


async def _catalog_error(request: Request, exc: Exception) -> Response:
    status = status_of(exc) if isinstance(exc, CatalogError) else None
    if isinstance(exc, (RunFailed, LoadFailed)):
        # The cause names nodes, paths and source files: for the log, not for the caller.
        _log.warning("request %s: %s", request.state.request_id, exc.__cause__)
    if status is None or not isinstance(exc, CatalogError):
        raise exc  # its message may hold a path: the guard logs it and answers 500
    return refusal(status, exc.message, exc.hint)


async def _http_error(_: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return refusal(status, _HTTP_ERRORS.get(status, "the request cannot be answered"))
