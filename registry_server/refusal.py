"""Errors as HTTP answers: one table of statuses, one shape, `{"error": "..."}`."""

from __future__ import annotations

import json
import logging

from starlette.responses import Response

from catalog.errors import CatalogError, NotFound, UsageError
from registry_server.errors import (
    Busy,
    Expired,
    LoadFailed,
    NoRoom,
    OutsideDomain,
    RunFailed,
    TooLarge,
    TooSlow,
    Unsupported,
)

_log = logging.getLogger(__name__)
# Subclass before base. Nothing else may be shown: other messages can hold paths.
_STATUS: tuple[tuple[type[CatalogError], int], ...] = (
    (TooSlow, 408),
    (TooLarge, 413),
    (Unsupported, 415),
    (RunFailed, 422),
    (OutsideDomain, 422),
    (UsageError, 400),
    (NotFound, 404),
    (LoadFailed, 502),
    (Busy, 503),
    (Expired, 504),
    (NoRoom, 507),
)
# After these the rest of the body may still be on its way, so the connection cannot be reused.
_CLOSING = {408, 413, 503}


def status_of(error: CatalogError) -> int | None:
    """The HTTP status of an error, or None if it must not be shown."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), None)


def refusal_of(error: CatalogError, request_id: str) -> Response:
    """An error as an answer.

    Raises
    ------
    CatalogError
        Itself if its message may hold a path: the guard logs it and answers 500.
    """
    if isinstance(error, (RunFailed, LoadFailed)):
        # The cause names nodes, paths and source files: for the log, not for the caller.
        _log.warning("request %s: %s", request_id, error.__cause__)
    status = status_of(error)
    if status is None:
        raise error
    return refusal(status, error.message, error.hint)


def refusal(status: int, message: str, hint: str = "") -> Response:
    """An error in the one shape every error of this server has."""
    text = f"{message}; {hint}" if hint else message
    headers = {"connection": "close"} if status in _CLOSING else {}
    if status == 503:
        headers["retry-after"] = "1"
    return Response(error_body(text), status, headers, media_type="application/json")


def error_body(text: str) -> bytes:
    """The JSON of an error. ASCII, so that no text a client sent can fail to encode."""
    return json.dumps({"error": text}).encode("ascii")
