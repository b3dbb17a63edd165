"""The HTTP face of the engine: every route is one delegation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from catalog.errors import CatalogError
from registry_server import inference, models, repository
from registry_server.body import Intake
from registry_server.engine import Engine, Source
from registry_server.guard import Guard, Hosts
from registry_server.refusal import refusal, refusal_of
from registry_server.shortcut import Shortcut
from registry_server.tensors import Limits

_HTTP_ERRORS = {
    404: "no such address; GET /v2 names this server, POST /v2/repository/index its models",
    405: "this address does not take that method; infer, generate and /v2/repository are POST",
}


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
    hosts = Hosts(host, allow_hosts)
    app = _routes(engine, hosts)
    app.add_middleware(Guard, hosts=hosts)
    return app


def _routes(engine: Engine, hosts: Hosts) -> FastAPI:
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
    app.state.shortcut = Shortcut(engine, app.state.intake, hosts)
    # FastAPI compares an address with every route in this order.
    for part in (inference, models, repository):
        app.include_router(part.router)
    app.add_exception_handler(CatalogError, _catalog_error)
    app.add_exception_handler(HTTPException, _http_error)
    return app


async def _catalog_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, CatalogError):
        raise exc
    return refusal_of(exc, request.state.request_id)


async def _http_error(_: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return refusal(status, _HTTP_ERRORS.get(status, "the request cannot be answered"))
