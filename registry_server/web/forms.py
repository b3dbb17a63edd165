"""Forms: small, only from pages of this server, and with the key of who is signed in."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from starlette.requests import Request

from catalog.errors import UsageError
from registry_server.auth.caller import Forbidden
from registry_server.web.render import form_key

_FIELDS = 50


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, after its checks.

    Raises
    ------
    Forbidden, UsageError
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise UsageError("not a form of these pages", "programs use /api/v1")
    try:
        text = (await request.body()).decode()
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError as exc:
        raise UsageError("not a form of these pages", "go back, and load the page again") from exc
    check_page(request, fields.get("form", ""))
    return fields


def check_page(request: Request, key: str) -> None:
    """See that a page of this server asks: the door has compared what the browser says of it.

    Raises
    ------
    Forbidden
    """
    told = request.headers.get("origin") or request.headers.get("sec-fetch-site")
    wanted = form_key(request.scope)
    if not told or not hmac.compare_digest(key.encode(), wanted.encode()):
        raise Forbidden(
            "that was not asked by a page of this server", "load the page again, and repeat it"
        )
