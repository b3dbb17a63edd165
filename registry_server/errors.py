"""What the server refuses, and the one shape every refusal has: `{"error": "..."}`.

UsageError            the request is malformed                       400
  TooSlow             the body did not arrive in time                408
  TooLarge            a size is above a limit of this server         413
  Unsupported         a coding or extension this server lacks        415
  RunFailed           the model failed on valid tensors              422
NotFound              no such model or version                       404
Busy                  too many bytes are waiting                     503
"""

from __future__ import annotations

import json

from starlette.responses import Response

from catalog.errors import CatalogError, NotFound, UsageError


class TooSlow(UsageError):
    """The body did not arrive in time."""


class TooLarge(UsageError):
    """A size is above a limit of this server."""


class Unsupported(UsageError):
    """The request uses a coding or an extension that this server does not have."""


class RunFailed(UsageError):
    """The model failed on tensors that its own description allows."""


class Busy(CatalogError):
    """Too many bytes are waiting to be answered."""


# Subclass before base. Nothing else may be shown: other messages can hold paths.
_STATUS: tuple[tuple[type[CatalogError], int], ...] = (
    (TooSlow, 408),
    (TooLarge, 413),
    (Unsupported, 415),
    (RunFailed, 422),
    (UsageError, 400),
    (NotFound, 404),
    (Busy, 503),
)
# After these the rest of the body may still be on its way, so the connection cannot be reused.
_CLOSING = {408, 413, 503}


def status_of(error: CatalogError) -> int | None:
    """The HTTP status of an error, or None if it must not be shown."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), None)


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


def quoted(text: str) -> str:
    """A client's own text, safe to send back and to log: short, ASCII, no control characters."""
    return ascii(text if len(text) <= 64 else text[:61] + "...")
