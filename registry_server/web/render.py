"""From values to HTML: one environment, in which no text of a card can act.

Links are relative to the page (`root`), so that the pages work below any prefix of a proxy without
being told of it. No page has a script or a style inside: the policy below forbids both.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version as installed_version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from catalog.index.query import particle_name
from catalog.report import markup
from registry_server.auth.caller import Caller
from registry_server.auth.door import kept_token

_log = logging.getLogger(__name__)
LONGEST = 20_000  # characters of a stranger's text that a page shows
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "same-origin",  # without any a form would say Origin: null
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "private, no-cache",
}


@lru_cache(maxsize=1)
def static_files() -> dict[str, tuple[bytes, str]]:
    """Scripts, styles and the icon by name, with their media types; nothing else is ever served."""
    types = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    found = {}
    for file in files("registry_server.web").joinpath("static").iterdir():
        kind = types.get(f".{file.name.rpartition('.')[2]}")
        if kind:
            found[file.name] = (file.read_bytes(), kind)
    return found


@lru_cache(maxsize=1)
def static_mark() -> str:
    """Changes when a static file does, so that browsers may keep them."""
    every = b"".join(data for _, (data, _) in sorted(static_files().items()))
    return hashlib.sha256(every).hexdigest()[:12]


def page(
    scope: Scope, template: str, code: int = 200, headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:  # fmt: skip
    """A page of the catalog as an answer."""
    html = _environment().get_template(template).render(**_frame(scope), **values)
    return HTMLResponse(html, code, {**_HEADERS, **(headers or {})})


def error_page(
    scope: Scope, status: int, message: str, hint: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    """What went wrong and what to do; who is not known may sign in here."""
    values = {"status": status, "message": message, "hint": hint}
    request_id = scope.get("state", {}).get("request_id", "")
    template = "sign_in.html" if status == 401 else "error.html"
    return page(scope, template, status, headers, request_id=request_id, **values)


def log_failure(request: Request, exc: Exception) -> None:
    """Keep what a page must not show."""
    _log.warning("request %s: %s", request.state.request_id, exc, exc_info=exc)


def root_of(scope: Scope) -> str:
    """What leads from the address that was asked back to the first page: `../../`, or `./`."""
    raw = scope.get("raw_path") or scope["path"].encode()
    return "../" * (raw.partition(b"?")[0].count(b"/") - 1) or "./"


def form_key(scope: Scope) -> str:
    """What a form of who is signed in must send back; nobody can know it without the token."""
    token = kept_token(Headers(scope=scope))
    return hashlib.sha256(f"form:{token}".encode()).hexdigest() if token else ""


def clean(value: object) -> object:
    """Text without characters that steer: control characters and marks of direction."""
    if isinstance(value, markup.Markup):  # built here
        return Markup(value)  # noqa: S704
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    shown = value if len(value) <= LONGEST else f"{value[:LONGEST]} ... (cut: {len(value):,})"
    return Markup(markup.text(shown))  # noqa: S704  escaped there


def _frame(scope: Scope) -> dict[str, Any]:
    """What every page needs."""
    caller = scope.get("state", {}).get("caller")
    return {
        "root": root_of(scope), "static_mark": static_mark(), "form_key": form_key(scope),
        "caller": caller if isinstance(caller, Caller) else None,
        "signed_in": bool(kept_token(Headers(scope=scope))),
        "catalog_version": installed_version("hep-model-catalog"),
        "here": scope["path"].strip("/").partition("/")[0],
    }  # fmt: skip


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("registry_server.web"), autoescape=True, finalize=clean,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "number": markup.number, "duration": markup.duration, "interval": markup.interval,
        "particle": particle_name, "energies": _energies,
        "size": _size,
    }  # fmt: skip
    return made


def _energies(pair: list[float] | None) -> str:
    return "" if not pair else f"{pair[0]:.3g} to {pair[1]:.3g} GeV"


def _size(count: int) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count} bytes"
