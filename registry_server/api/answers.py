"""Answers of /api: JSON with an ETag, and pages of a list with a cursor."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from catalog.errors import UsageError


def answer(request: Request, value: Any) -> Response:
    """JSON that a client may keep: 304 if it has this very text already."""
    return answer_text(request, compact(value))


def compact(value: Any) -> str:
    """JSON in ASCII without spaces."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def answer_text(request: Request, text: str) -> Response:
    """The same for JSON that was made before."""
    body = text.encode("ascii")
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if has(request, etag):
        return Response(None, 304, headers)
    return Response(body, 200, headers, media_type="application/json")


def has(request: Request, etag: str) -> bool:
    """Whether If-None-Match says that the client has it."""
    known = [
        it.strip().removeprefix("W/") for it in request.headers.get("if-none-match", "").split(",")
    ]
    return etag in known or "*" in known


def cursor_of(*place: object) -> str:
    """Where the next page begins, as text that a client only hands back."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> int:
    """How many entries came before.

    Raises
    ------
    UsageError
    """
    if cursor is None:
        return 0
    try:
        (place,) = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(place, int) or not 0 <= place <= 10_000_000:
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError) as exc:
        raise UsageError("not a cursor of this server", "begin again without one") from exc
    return place
