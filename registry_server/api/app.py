"""The application under /api/v1."""

from __future__ import annotations

import os
from importlib.metadata import version as installed_version
from typing import Any

from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from catalog.errors import UsageError
from registry_server.api import blobs, long, models, publishing, verbs
from registry_server.api.errors import add_handlers
from registry_server.api.intake import Bounded
from registry_server.api.open import Open
from registry_server.api.parameters import known_parameters
from registry_server.api.registry import Registry
from registry_server.api.shapes import Error
from registry_server.auth.door import authorise
from registry_server.errors import quoted

PLACE = "/api/v1"
_ALWAYS = (400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503)
_router = APIRouter()
PARTS = (_router, models.router, blobs.router, publishing.router, long.router, verbs.router)


def create_api(registry: Registry) -> FastAPI:
    """The registry as an application of its own, to be mounted at `PLACE`."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(authorise), Depends(_known_parameters)],
        generate_unique_id_function=lambda route: route.name,
        responses={status: {"model": Error} for status in _ALWAYS},
    )
    app.state.registry = registry
    app.state.bodies, app.state.followers = Open(), Open()
    app.state.searching = CapacityLimiter(os.cpu_count() or 1)
    for part in PARTS:
        app.include_router(part)
    app.add_middleware(Bounded, size=registry.bounds.json, idle=registry.bounds.idle)
    add_handlers(app)
    return app


async def _known_parameters(request: Request) -> None:
    """A mistyped filter must not find everything."""
    route = request.scope.get("route")
    known = known_parameters(route) if isinstance(route, APIRoute) else set[str]()
    for name in request.query_params:
        if name not in known:
            have = ", ".join(sorted(known)) or "none"
            raise UsageError(f"no parameter {quoted(name)} here", f"there are: {have}")


@_router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> Response:
    """What this API is, for generated clients and for people."""
    return JSONResponse(description(request.app))


def description(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if not app.openapi_schema:
        document = get_openapi(
            title="hep-model-catalog",
            version=installed_version("hep-model-catalog"),
            summary="Find, fetch and publish models for high-energy physics.",
            routes=app.routes,
            servers=[{"url": PLACE}],
        )
        bearer = {"type": "http", "scheme": "bearer"}
        document["components"]["securitySchemes"] = {"bearer": bearer}
        document["security"] = [{"bearer": []}]
        app.openapi_schema = document
    return app.openapi_schema
