"""What a registry refused, as an error of ours: in its words, with our next command."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError

from catalog.address import shown
from catalog.errors import (
    CatalogError,
    NotAuthorised,
    NotFound,
    StoreError,
    Unreachable,
    UsageError,
)
from catalog.remote.place import Place

_MAX = 100_000  # bytes of a refusal
_MOVED = range(300, 400)


class Lost(Unreachable):
    """Nobody answers, or not to the end."""

    wait = 0.0


class Refused(StoreError):
    """The registry could not do it; `wait` seconds and another attempt may help, if told."""

    wait: float | None = None
    status: int = 0


def refused(answer: HTTPError, place: Place) -> CatalogError:
    """The error that an answer means."""
    status = answer.code
    if status in _MOVED:
        where = shown(str(answer.headers.get("location", "nowhere")))[:200]
        return StoreError(
            f"{place.url} sends us on to {where}, where nothing is sent",
            "if that is the registry, give its address",
        )
    told = _told(answer)
    if told is None:
        return _stranger(status, answer, place)
    message, hint, request = told
    if status == 401:
        return NotAuthorised(f"{place.url}: {message}", "export CATALOG_TOKEN=... of that registry")
    if status == 403:
        return NotAuthorised(f"{place.url}: {message}", "ask its administrator for that role")
    if status == 404:
        return NotFound(message, _ours(hint))
    if status == 400:
        return UsageError(message, _ours(hint))
    if status == 422:
        return Unfit(message, _ours(hint))
    found = Refused(
        f"{place.url}: {message}" + (f" (request {request})" if status >= 500 else ""),
        _ours(hint),
    )
    found.status = status
    found.wait = _wait(answer) if status in (429, 502, 503, 504) else None
    return found


class Unfit(CatalogError):
    """The registry checked what it was given, and refused it."""


def _stranger(status: int, answer: HTTPError, place: Place) -> CatalogError:
    """A refusal of something that is not a registry: a proxy, or another server."""
    if status in (502, 503, 504, 429):
        found = Refused(f"{place.url}: answers {status}", "is the server behind it up?")
        found.status, found.wait = status, _wait(answer)
        return found
    if status in (401, 403, 407):
        return NotAuthorised(
            f"{place.url} answers {status}, and not as a registry does",
            "is there a proxy before it that asks who you are?",
        )
    return StoreError(
        f"{place.url} is no registry of models: it answers {status}",
        "give the address that `catalog serve` prints, without /api/v1",
    )


def _told(answer: HTTPError) -> tuple[str, str, str] | None:
    """(message, hint, request id) of the one shape of errors."""
    with suppress(ValueError, KeyError, TypeError, RecursionError, OSError):
        error: Any = json.loads(answer.read(_MAX))["error"]
        return str(error["message"]), str(error["hint"]), str(error["request_id"])
    return None


def _wait(answer: HTTPError) -> float:
    """Seconds that the server asks us to wait."""
    told = answer.headers.get("retry-after", "")
    return float(told) if re.fullmatch("[0-9]{1,6}", told) else 0.0


def _ours(hint: str) -> str:
    """A hint for the command line: one that names a route is for other clients."""
    return "catalog search" if re.search(r"\b(GET|POST|PUT) /", hint) else hint
