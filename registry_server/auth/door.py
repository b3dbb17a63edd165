"""The door: nobody gets past it unknown. ASGI middleware, just inside the guard.

It finds out who asks, refuses what a page of another site makes a browser send, bounds how often
one may ask, and keeps the audit log. What a route needs is in `policy`: by `authorise` for the
routes of /api and for web pages, here for all others. A page, and nothing else, also takes the
token from the cookie that signing in has set.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.errors import Unreachable
from registry_server.auth.audit import Audit
from registry_server.auth.caller import Caller, Forbidden, Role, Unknown
from registry_server.auth.oidc import Verifier
from registry_server.auth.policy import PAGES, POLICY, need_outside
from registry_server.auth.rate import Rate
from registry_server.auth.tokens import PREFIX, KnownTokens
from registry_server.errors import quoted
from registry_server.problem import is_api, is_page, refuse

SESSION = "catalog_session"  # the cookie of who signed in to the pages: the token itself
_SAFE = {"GET", "HEAD", "OPTIONS"}
_NOT_VALID = "the token is not valid here"
_LOADING = "/v2/repository/models/"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """How this server knows its callers.

    nobody : what may be done without a token; None is nothing
    per_second, burst : how often one caller may ask /api, and one address fail to come in
    """

    tokens: KnownTokens
    audit: Audit
    issuer: Verifier | None = None
    nobody: Role | None = None
    per_second: float = 50.0
    burst: float = 200.0


class Door:
    """ASGI middleware around everything but the guard."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._asked = Rate(access.per_second, access.burst)
        self._failures = Rate(access.per_second, access.burst)  # of strangers, by address
        self._refusals = Rate(1.0, 20.0)  # of strangers, written down; by address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {}).setdefault("request_id", "")
        status = 0

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._enter(scope, receive, seen)
        finally:
            self._note(scope, status or 500)

    def _note(self, scope: Scope, status: int) -> None:
        """Keep what was changed, or refused; what a stranger can cause is bounded."""
        path, caller = scope["path"], scope["state"].get("caller")
        noted = is_api(path) or is_page(path) or path.startswith(_LOADING)
        changing = scope["method"] not in _SAFE and noted
        if not changing and status not in (401, 403):
            return
        address = _address(scope)
        if caller is None and self._refusals.wait(address, time.time()):
            return
        who = caller.name if caller else f"unknown at {address}"
        self._access.audit.note(who, scope["method"], path, status, scope["state"]["request_id"])

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        state, headers = scope["state"], Headers(scope=scope)
        if scope["method"] not in _SAFE and self._foreign_page(headers):
            await refuse(scope, 403, "a page of another site may not do that")(scope, receive, send)
            return
        now, address = time.time(), _address(scope)
        try:
            state["caller"] = caller = await self._caller(headers, now, is_page(scope["path"]))
        except Unknown as exc:
            _log.info("%s: refused: %s", state.get("request_id"), quoted(exc.message))
            hint = "make one: catalog token create NAME, and send it: Authorization: Bearer TOKEN"
            wait = self._failures.wait(address, now)
            answer = _slower(scope, wait) if wait else refuse(scope, 401, _NOT_VALID, hint)
            await answer(scope, receive, send)
            return
        except Unreachable as exc:
            _log.warning("%s: %s", state.get("request_id"), exc)
            text = "the tokens of this server cannot be checked now"
            later = {"retry-after": "1"}
            await refuse(scope, 503, text, "try again later", headers=later)(scope, receive, send)
            return
        state["again"] = partial(self._same, headers, caller)
        if refused := self._refused(scope, caller, address, now):
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(
        self, scope: Scope, caller: Caller | None, address: str, now: float
    ) -> ASGIApp | None:
        """Why this caller does not get past the door, as an answer."""
        path = scope["path"]
        if is_api(path) or is_page(path):
            if caller and not path.isprintable():
                return refuse(scope, 400, "not an address", "GET /api/v1/openapi.json tells all")
            wait = self._asked.wait(caller.name if caller else address, now)
            if wait:
                return _slower(scope, wait)
            if caller or is_page(path):
                return None  # `authorise` knows which route it is
        elif need_outside(path).allows(caller):
            return None
        if caller:
            return refuse(scope, 403, f"that needs the role {need_outside(path).role}")
        if not is_api(path) and (wait := self._failures.wait(address, now)):
            return _slower(scope, wait)
        hint = (
            "send a token: Authorization: Bearer TOKEN (an admin makes one: catalog token create)"
        )
        return refuse(scope, 401, "who are you?", hint)

    async def _caller(self, headers: Headers, now: float, page: bool = False) -> Caller | None:
        """Who asks; None for somebody without a token, who may do nothing here."""
        given, nobody = headers.getlist("authorization"), self._access.nobody
        if not given:
            if page and (kept := kept_token(headers)):
                with suppress(Unknown):  # its time is over: asked to sign in again, not locked out
                    return await caller_with(self._access, kept, now)
            return Caller("anonymous", nobody) if nobody else None
        scheme, _, secret = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            raise Unknown("not one bearer token")
        return await caller_with(self._access, secret.strip(), now)

    async def _same(self, headers: Headers, caller: Caller | None) -> None:
        if await self._caller(headers, time.time()) != caller:
            raise Unknown("the token has another role by now")

    def _foreign_page(self, headers: Headers) -> bool:
        """Whether a browser says that a page of another origin made it ask."""
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return True
        origin = headers.get("origin")
        if origin is None:
            return False
        try:
            asked = urlsplit(f"//{headers.get('host', '')}").netloc
            return urlsplit(origin).netloc.lower() != asked.lower()
        except ValueError:  # no address at all
            return True


async def caller_with(access: Access, secret: str, now: float) -> Caller:
    """Who holds a token.

    Raises
    ------
    Unknown
    """
    if secret.startswith(PREFIX):
        return access.tokens.caller(secret, now)
    if access.issuer is None:
        raise Unknown("no token of this server, and no issuer is configured")
    return await asyncio.to_thread(access.issuer.caller, secret)


def kept_token(headers: Headers) -> str:
    """The token in the cookie of the pages; "" without one."""
    return cookie_parser(headers.get("cookie", "")).get(SESSION, "")


async def ask_again(scope: Scope) -> None:
    """Whether who began a long call may still make it.

    Raises
    ------
    Unknown
        The token was revoked, or its time is over.
    """
    if again := scope["state"].get("again"):
        await again()


async def authorise(request: Request) -> None:
    """The policy table, for a route of /api or a page: a dependency of the whole application.

    Raises
    ------
    Unknown, Forbidden
    """
    name = getattr(request.scope.get("route"), "name", "")
    need = POLICY.get(name) or PAGES.get(name)
    caller = request.scope["state"].get("caller")
    if need is None:
        raise Forbidden("nobody may do that")
    if not need.allows(caller):
        if caller is None:
            raise Unknown("no token")
        raise Forbidden(f"that needs the role {need.role}, and you are a {caller.role}")


def caller_of(request: Request) -> Caller:
    """Who asks; behind `authorise` there is always somebody."""
    caller = request.scope["state"].get("caller")
    if not isinstance(caller, Caller):
        raise Unknown("no token")
    return caller


def _slower(scope: Scope, wait: float) -> ASGIApp:
    seconds = str(math.ceil(wait))
    return refuse(
        scope, 429, "too many requests", f"wait {seconds} s", headers={"retry-after": seconds}
    )


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "?"
