"""The HTTP face of the engine: every route is one delegation."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version as installed_version
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from catalog.errors import CatalogError, UsageError
from registry_server.body import Intake
from registry_server.engine import Engine, Model, Servable
from registry_server.errors import RunFailed, TooLarge
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
    resolve: Callable[[str], Servable],
    refs: Sequence[str],
    *,
    limits: Limits | None = None,
    threads: int | None = None,
    host: str = "127.0.0.1",
    allow_hosts: Iterable[str] = (),
) -> FastAPI:
    """Load the models and build the application that serves them.

    Parameters
    ----------
    resolve : from a reference to a verified version on disk, such as `catalog.pull.pull`
    threads : cores to compute on; default all that this process may use

    Raises
    ------
    CatalogError
        Of `resolve`, or because a model cannot be loaded.
    """
    engine = Engine(limits, threads)
    for ref in refs:
        engine.load(resolve(ref))
    app = _routes(engine)
    app.add_middleware(Guard, hosts=Hosts(host, allow_hosts))
    return app


# First, because FastAPI compares an address with every route in this order.
@router.post(_MODEL + "/infer")
@router.post(_VERSION + "/infer")
async def infer(request: Request) -> Response:
    """Run a model."""
    model = _model(request)
    lengths = request.headers.getlist(_HEADER_LENGTH)
    if len(lengths) > 1:
        raise UsageError("Inference-Header-Content-Length is there twice")
    async with request.app.state.intake.body(request) as body:
        header_length = lengths[0] if lengths else None
        answer, length = await _engine(request).in_thread(_answer, model, body, header_length)
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
    return JSONResponse([_entry(model) for model in _engine(request).models()])


@router.get(_MODEL)
@router.get(_VERSION)
async def model_metadata(request: Request) -> Response:
    """Inputs, outputs and versions of a model."""
    model = _model(request)
    versions = [m.version for m in _engine(request).models() if m.name == model.name]
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
    return JSONResponse({"name": _model(request).name, "ready": True})


def _routes(engine: Engine) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
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


def _answer(model: Model, body: bytearray, header_length: str | None) -> tuple[bytes, int | None]:
    """Bytes in, bytes out: all that is slow about a request, in one visit to a thread."""
    asked = decode(body, header_length, model.limits)
    outputs = model.infer(asked.inputs, list(asked.outputs))
    return encode(model.name, model.version, asked, outputs, model.limits)


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _model(request: Request) -> Model:
    # Not function parameters: FastAPI would then also take a version from the query string.
    return _engine(request).find(request.path_params["name"], request.path_params.get("version"))


def _entry(model: Model) -> dict[str, str]:
    return {
        "name": model.name,
        "version": str(model.version),
        "state": "READY",
        "reason": "",
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


async def _catalog_error(request: Request, exc: Exception) -> Response:
    status = status_of(exc) if isinstance(exc, CatalogError) else None
    if isinstance(exc, RunFailed):
        # ONNX Runtime names nodes and source files: for the log, not for the caller.
        _log.warning("request %s: %s", request.state.request_id, exc.__cause__)
    if status is None or not isinstance(exc, CatalogError):
        raise exc  # its message may hold a path: the guard logs it and answers 500
    return refusal(status, exc.message, exc.hint)


async def _http_error(_: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return refusal(status, _HTTP_ERRORS.get(status, "the request cannot be answered"))
