"""Listening for gRPC beside HTTP: the same process, event loop, engine and limits."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import grpc
import grpc.aio
from fastapi import FastAPI

from catalog.errors import CatalogError
from registry_server.auth.door import Access
from registry_server.inference_grpc.calls import Calls
from registry_server.inference_grpc.gate import Gate
from registry_server.listen import Tls
from registry_server.tensors import Limits

_GRACE_SECONDS = 10
_IDENTITY_ONLY = 1 << 0  # the bit of "not compressed"


def add_grpc(
    app: FastAPI, host: str, port: int, *, access: Access | None = None, tls: Tls | None = None
) -> None:
    """Listen while an application runs; its `state.grpc` is then `host:port`.

    Parameters
    ----------
    host : an address, not a name: grpc would listen on all that the name has
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
            limits = running.state.engine.limits
            async with _listening(calls, limits, host, port, tls) as address:
                running.state.grpc = address
                yield state

    app.router.lifespan_context = with_grpc


@asynccontextmanager
async def _listening(
    calls: Calls, limits: Limits, host: str, port: int, tls: Tls | None
) -> AsyncIterator[str]:
    server = grpc.aio.server(
        handlers=(calls,),
        options=_options(limits),
        maximum_concurrent_rpcs=limits.queue,
    )
    name = f"[{host}]" if ":" in host else host
    with _without_ipv6(host, port) as port:
        try:
            if tls is None:
                taken = server.add_insecure_port(f"{name}:{port}")
            else:
                pair = grpc.ssl_server_credentials([(tls.key.read_bytes(), tls.cert.read_bytes())])
                taken = server.add_secure_port(f"{name}:{port}", pair)
        except RuntimeError as exc:
            raise CatalogError(
                f"cannot listen on {host} port {port} for gRPC",
                "take any free port with --grpc-port 0, or none with --no-grpc",
            ) from exc
        await server.start()
        try:
            yield f"{name}:{taken}"
        finally:
            await server.stop(_GRACE_SECONDS)  # new calls are refused, those that run may end


@contextmanager
def _without_ipv6(host: str, port: int) -> Iterator[int]:
    """Keep grpc from listening wider than HTTP does; the port.

    It takes 0.0.0.0 for every IPv6 address too, unless that port is taken, and has no option.
    """
    if host != "0.0.0.0":  # noqa: S104  compared with, not bound to
        yield port
        return
    try:
        held = socket.socket(socket.AF_INET6)
    except OSError:  # this machine has no IPv6
        yield port
        return
    with held:
        with suppress(OSError):  # somebody else has it: it is closed to grpc all the same
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            held.bind(("::", port))
            port = held.getsockname()[1]
        yield port


def _options(limits: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.body),
        ("grpc.max_send_message_length", (1 << 31) - 1),  # `limits.elements` bounds the tensors
        ("grpc.max_concurrent_streams", limits.queue),
        ("grpc.max_connection_idle_ms", 60_000),  # as HTTP; a client connects again by itself
        ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a partner
        # grpc bounds what arrives, not what it becomes: a 1 MB message can hold 1 GB of zeros.
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
    ]
