"""From errors of the catalog to answers of /api.

Conflict    what was asked does not fit what is there (409)
NoRange     the bytes asked for are not there (416)
TooMany     one caller has too much open (429)
"""

from __future__ import annotations

import logging

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from catalog.errors import (
    CatalogError,
    CheckFailed,
    MissingExtra,
    NotFound,
    Unreachable,
    UsageError,
)
from registry_server.auth.caller import Forbidden, Unknown
from registry_server.errors import Busy, TooLarge, TooSlow
from registry_server.problem import problem

_log = logging.getLogger(__name__)


class Conflict(CatalogError):
    """What was asked does not fit what is there."""


class NoRange(CatalogError):
    """The bytes asked for are not there."""


class TooMany(CatalogError):
    """One caller has too much open."""


# Subclass before base. Any other message may hold a path or an address: it goes to the log.
_STATUS: tuple[tuple[type[CatalogError], int], ...] = (
    (Unknown, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (TooSlow, 408),
    (Conflict, 409),
    (TooLarge, 413),
    (NoRange, 416),
    (CheckFailed, 422),
    (TooMany, 429),
    (Busy, 503),
    (UsageError, 400),
)
_HTTP = {
    404: ("no such address", "GET /api/v1/openapi.json tells all"),
    405: ("this address does not take that method", "GET /api/v1/openapi.json tells all"),
}


def status_of(error: CatalogError) -> int | None:
    """The status of an error, or None if it must not be shown."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), None)


def add_handlers(app: FastAPI) -> None:
    """Make every error of an application one of the shape of /api."""
    app.add_exception_handler(CatalogError, _catalog_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unforeseen)


async def _catalog_error(request: Request, exc: Exception) -> Response:
    status = status_of(exc) if isinstance(exc, CatalogError) else None
    if isinstance(exc, Unreachable):
        _log.warning("request %s: %s", request.state.request_id, exc)
        text = "the database or the store behind this server does not answer"
        return problem(request.scope, 503, text, "try again in a moment; nothing was half-written")
    if status is None or not isinstance(exc, CatalogError):
        _log.warning("request %s: %s", request.state.request_id, exc, exc_info=exc)
        what = "this server lacks a part for that" if isinstance(exc, MissingExtra) else "it failed"
        text = f"the store or the index behind this server could not do it: {what}"
        return problem(request.scope, 502, text, "its administrator sees why in the log")
    return problem(request.scope, status, exc.message, exc.hint)


async def _invalid(request: Request, exc: Exception) -> Response:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else []
    lines = [f"{'.'.join(str(it) for it in e['loc'])}: {e['msg']}"[:200] for e in errors[:10]]
    hint = "GET /api/v1/openapi.json tells what is expected"
    return problem(request.scope, 422, "; ".join(lines) or "not a valid request", hint)


async def _http_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    message, hint = _HTTP.get(exc.status_code, (str(exc.detail)[:200], ""))
    return problem(request.scope, exc.status_code, message, hint, exc.headers)


async def _unforeseen(request: Request, _: Exception) -> Response:
    # Starlette raises it again afterwards, and the guard logs it.
    text = f"internal error, request {request.state.request_id}"
    return problem(request.scope, 500, text, "the server's log has the details")
