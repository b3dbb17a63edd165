"""Signing in: a token becomes a cookie that no script can read and no other site can send."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from registry_server.auth.caller import Unknown
from registry_server.auth.door import SESSION, Access, caller_with
from registry_server.web.forms import read_form
from registry_server.web.render import page

router = APIRouter()
_LONGEST = 8192  # characters of a token


@router.get("/sign-in", name="page_sign_in")
def sign_in(request: Request) -> Response:
    """The form."""
    return page(request.scope, "sign_in.html", message="", hint="")


@router.post("/sign-in", name="page_sign_in_post")
async def sign_in_post(request: Request) -> Response:
    """Take a token, if it is valid here; then go to the first page."""
    fields = await read_form(request)
    token, access = fields.get("token", "").strip(), request.app.state.access
    try:
        await _holder(access, token)
    except Unknown:
        return page(
            request.scope, "sign_in.html", 403, message="the token is not valid here",
            hint="look for spaces, or for its end: catalog token ls",
        )  # fmt: skip
    answer = RedirectResponse("./", 303)  # relative: any prefix of a proxy stays
    _set(request, answer, token)
    return answer


@router.post("/sign-out", name="page_sign_out")
async def sign_out(request: Request) -> Response:
    """Forget the token in this browser; it stays valid elsewhere."""
    await read_form(request)
    answer = RedirectResponse("./sign-in", 303)
    _set(request, answer, "", max_age=0)
    return answer


async def _holder(access: Access, token: str) -> None:
    if not token.isascii() or not token.isprintable() or len(token) > _LONGEST or ";" in token:
        raise Unknown("no token looks like that")
    await caller_with(access, token, time.time())


def _set(request: Request, answer: Response, token: str, max_age: int | None = None) -> None:
    """Set the cookie; without a path of its own it is of the folder that these pages are in."""
    told = request.headers.get("x-forwarded-proto") or request.url.scheme
    https = told == "https" or urlsplit(request.headers.get("origin", "")).scheme == "https"
    answer.set_cookie(
        SESSION, token, max_age=max_age, path=None, secure=https, httponly=True, samesite="strict"
    )
