"""Put the registry and the door around a server's application."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from catalog.errors import UsageError
from registry_server.api.app import PLACE, create_api
from registry_server.api.registry import Registry
from registry_server.api.workers import working
from registry_server.auth.audit import Audit
from registry_server.auth.caller import Role
from registry_server.auth.door import Access, Door
from registry_server.auth.oidc import Verifier, read_issuer
from registry_server.auth.tokens import KnownTokens
from registry_server.problem import problem
from registry_server.web.app import Pages, create_web


def access_for(
    registry: Registry, host: str, *, auth: bool | None = None, oidc: Path | None = None
) -> Access:
    """Who may do what, as the command line says.

    auth : None asks for tokens wherever other machines can reach the server. False there means that
        everybody may read; who publishes still needs a token. On loopback it means that whoever is
        on this machine may do everything.

    Raises
    ------
    UsageError
        Nobody could come in: there is no valid token and no issuer.
    BadFile
    """
    local = is_loopback(host)
    issuer = Verifier(read_issuer(oidc)) if oidc else None
    tokens = KnownTokens(registry.database)
    nobody: Role | None = None
    if auth is False or (auth is None and local and issuer is None):
        nobody = "admin" if local else "reader"
    if nobody is None and issuer is None and not tokens.any_valid():
        raise UsageError(
            f"a server on {host} asks for tokens, but there is none",
            "catalog token create NAME --role admin    (or let everybody read: --no-auth)",
        )
    return Access(tokens, Audit(registry.settings.home, registry.database), issuer, nobody)


def add_registry(app: FastAPI, registry: Registry, access: Access) -> None:
    """Mount /api/v1 on an application, do its jobs while it runs, and put the door before all.

    The door goes inside what is there already, the guard; the web pages inside the door.
    """
    app.mount(PLACE, create_api(registry))
    app.mount("/api", _nothing_here)
    app.user_middleware.append(Middleware(Door, access=access))
    app.user_middleware.append(Middleware(Pages, web=create_web(registry, access)))
    before: Any = app.router.lifespan_context

    @asynccontextmanager
    async def with_workers(running: FastAPI) -> AsyncIterator[Any]:
        async with before(running) as state:
            with working(registry):
                yield state
        access.tokens.close()
        access.audit.close()
        registry.close()

    app.router.lifespan_context = with_workers


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """What is below /api but of no version of it."""
    answer = problem(scope, 404, "no such address", f"GET {PLACE}/openapi.json tells all")
    await answer(scope, receive, send)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address that is listened on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
