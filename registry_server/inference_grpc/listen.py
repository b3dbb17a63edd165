"""Listening for gRPC beside HTTP: the same process, event loop, engine and limits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from catalog.errors import CatalogError
from registry_server.auth.door import Access
from registry_server.connection import most_connections
from registry_server.http2.connection import Connection
from registry_server.inference_grpc.calls import Calls
from registry_server.inference_grpc.gate import Gate
from registry_server.inference_grpc.rpc import Asked
from registry_server.listen import Tls

_GRACE_SECONDS = 10.0
_HANDSHAKE_SECONDS = 10.0


def add_grpc(
    app: FastAPI, host: str, port: int, *, access: Access | None = None, tls: Tls | None = None
) -> None:
    """Listen while an application runs; its `state.grpc` is then `host:port`.

    Parameters
    ----------
    host : an address, not a name: a name may have several
    port : 0 takes a free one
    access : who may ask; None is everybody

    Raises
    ------
    CatalogError
        When the application starts: the port is taken.
    """
    before: Any = app.router.lifespan_context

    @asynccontextmanager
    async def with_grpc(running: FastAPI) -> AsyncIterator[Any]:
        async with before(running) as state:
            calls = Calls(running.state.engine, running.state.intake, Gate(access))
            async with listening(calls, host, port, tls) as address:
                running.state.grpc = address
                yield state

    app.router.lifespan_context = with_grpc


@asynccontextmanager
async def listening(calls: Calls, host: str, port: int, tls: Tls | None) -> AsyncIterator[str]:
    """Answer calls while the block runs; gives `host:port`."""
    open_: set[Connection[Asked]] = set()
    most = max(1, most_connections() // 2)
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(calls, open_, most),
            host,
            port,
            ssl=_context(tls),
            ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls else None,
        )
    except OSError as exc:
        raise CatalogError(
            f"cannot listen on {host} port {port} for gRPC",
            "take any free port with --grpc-port 0, or none with --no-grpc",
        ) from exc
    name = f"[{host}]" if ":" in host else host
    try:
        yield f"{name}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await _emptied(open_)


async def _emptied(open_: set[Connection[Asked]]) -> None:
    """New calls are refused, those that run may end."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _GRACE_SECONDS
    for connection in list(open_):
        connection.leave()
    while open_ and loop.time() < until:
        await asyncio.sleep(0.02)
    for connection in list(open_):
        connection.abort()


def _context(tls: Tls | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["h2"])
    return context
