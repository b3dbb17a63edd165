"""Triton's model repository extension: what there is, load, unload."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from catalog.errors import UsageError
from registry_server.asked import engine_of, small_json
from registry_server.describe import index_entry
from registry_server.errors import Unsupported, quoted

router = APIRouter()


@router.post("/v2/repository/index")
async def index(request: Request) -> Response:
    """Every version that can be served, loaded or not; with "ready" those that are loaded."""
    wanted = (await small_json(request)).get("ready", False)
    if not isinstance(wanted, bool):
        raise UsageError('the body must be {"ready": true}, {"ready": false} or empty')
    rows = await engine_of(request).index()
    return JSONResponse([index_entry(it, why) for it, why in rows if not (wanted and why)])


@router.post("/v2/repository/models/{name}/load")
async def load(request: Request) -> Response:
    """Load a model now, rather than when it is asked for."""
    parameters = (await small_json(request)).get("parameters") or {}
    if not isinstance(parameters, dict):
        raise UsageError("'parameters' must be an object")
    if parameters:
        raise Unsupported(
            f"a model cannot be loaded with {quoted(next(iter(parameters)))}",
            "publish it: catalog publish FOLDER",
        )
    await engine_of(request).load(request.path_params["name"])
    return JSONResponse({})


@router.post("/v2/repository/models/{name}/unload")
async def unload(request: Request) -> Response:
    """Unload every version of a model; what runs ends first."""
    await small_json(request)  # `unload_dependents`: no model here depends on another
    engine_of(request).unload(request.path_params["name"])
    return JSONResponse({})
