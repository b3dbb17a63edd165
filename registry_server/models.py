"""What the server and its models are, over HTTP."""

from __future__ import annotations

from importlib.metadata import version as installed_version

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from registry_server import describe
from registry_server.asked import MODEL, VERSION, address_of, engine_of, model_of
from registry_server.metrics import CONTENT_TYPE, prometheus

router = APIRouter()


@router.get("/v2")
@router.get("/v2/")
async def server_metadata() -> Response:
    """Name, version and extensions of the server."""
    return JSONResponse(
        {
            "name": describe.NAME,
            "version": installed_version(describe.NAME),
            "extensions": describe.EXTENSIONS,
        }
    )


@router.get("/v2/health/live")
async def live() -> Response:
    """The process answers."""
    return JSONResponse({"live": True})


@router.get("/v2/health/ready")
async def ready() -> Response:
    """The models of the command line are loaded: the server starts to listen only then."""
    return JSONResponse({"ready": True})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text."""
    return Response(prometheus(engine_of(request)), media_type=CONTENT_TYPE)


# Before the addresses of a model: this one would be the model "stats".
@router.get("/v2/models/stats")
async def all_statistics(request: Request) -> Response:
    """What happened to the requests of every version."""
    engine = engine_of(request)
    return JSONResponse(describe.statistics(engine.statistics(), engine.models()))


@router.get(MODEL)
@router.get(VERSION)
async def model_metadata(request: Request) -> Response:
    """Inputs, outputs and versions of a model."""
    model = await model_of(request)
    versions = [found.version for found, _ in await engine_of(request).index(model.name)]
    return JSONResponse(describe.metadata(model, versions))


@router.get(MODEL + "/ready")
@router.get(VERSION + "/ready")
async def model_ready(request: Request) -> Response:
    """A model that is known is loaded, now if not before."""
    return JSONResponse({"name": (await model_of(request)).name, "ready": True})


@router.get(MODEL + "/config")
@router.get(VERSION + "/config")
async def model_config(request: Request) -> Response:
    """The model as Triton's configuration says it."""
    return JSONResponse(describe.config(await model_of(request)))


@router.get(MODEL + "/stats")
@router.get(VERSION + "/stats")
async def model_statistics(request: Request) -> Response:
    """What happened to the requests of a model."""
    engine = engine_of(request)
    name, version = address_of(request)
    found = await engine.find(name, version)
    rows = engine.statistics(name, None if version is None else found.version)
    return JSONResponse(describe.statistics(rows, engine.models()))
