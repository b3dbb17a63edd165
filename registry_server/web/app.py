"""The pages as an application: all that is neither /api nor inference."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from catalog.errors import CatalogError
from registry_server.api.errors import status_of
from registry_server.api.intake import Bounded
from registry_server.api.open import Open
from registry_server.api.registry import Registry
from registry_server.auth.caller import Unknown
from registry_server.auth.door import Access, authorise
from registry_server.problem import is_page, refuse
from registry_server.web import find, fit, lists, mapping, model, sign_in
from registry_server.web.counted import Counted
from registry_server.web.render import log_failure

PARTS = (find.router, model.router, fit.router, lists.router, mapping.router, sign_in.router)


class Pages:
    """ASGI middleware inside the door: hands pages to `web`, and all else on."""

    def __init__(self, app: ASGIApp, web: ASGIApp) -> None:
        self._app, self._web = app, web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a page, or pass a request on."""
        page = scope["type"] == "http" and is_page(scope["path"])
        await (self._web if page else self._app)(scope, receive, send)


def create_web(registry: Registry, access: Access) -> FastAPI:
    """The pages as an application of their own."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
        dependencies=[Depends(authorise)],
    )  # fmt: skip
    app.state.registry, app.state.access = registry, access
    app.state.bodies, app.state.counted = Open(), Counted()
    for part in PARTS:
        app.include_router(part)
    app.add_middleware(Bounded, size=1 << 16, idle=registry.bounds.idle)
    for kind in (CatalogError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _failed)
    return app


async def _failed(request: Request, exc: Exception) -> Response:
    """Any error as a page; what may hold a path or an address is for the log."""
    if isinstance(exc, HTTPException):
        return _http_error(request, exc)
    if isinstance(exc, RequestValidationError):
        return refuse(request.scope, 400, "not a valid request", "go back, and try another value")
    status = status_of(exc) if isinstance(exc, CatalogError) else None
    if status is None or not isinstance(exc, CatalogError):
        log_failure(request, exc)
        text = "the store or the index behind this server could not do it"
        return refuse(request.scope, 502, text, "its administrator sees why in the log")
    if isinstance(exc, Unknown):
        return refuse(request.scope, 401, "sign in to go on", exc.hint)
    return refuse(request.scope, status, exc.message, exc.hint)


def _http_error(request: Request, exc: HTTPException) -> Response:
    if exc.status_code == 404 and request.scope["state"].get("caller") is None:
        return refuse(request.scope, 401, "sign in to go on")  # strangers learn no addresses
    known = {404: ("there is no such page", "begin at the first one"),
             405: ("this page does not take that", "begin at the first one")}  # fmt: skip
    message, hint = known.get(exc.status_code, (str(exc.detail)[:200], ""))
    return refuse(request.scope, exc.status_code, message, hint, exc.headers)
