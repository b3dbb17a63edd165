"""Running the application on a socket, for the command and in the background."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from catalog.cli import out
from catalog.errors import CatalogError, MissingExtra, UsageError
from registry_server.shortcut import ShortConnection

_GRACE_SECONDS = 10


@dataclass(frozen=True)
class Tls:
    """PEM files of a certificate and of its key."""

    cert: Path
    key: Path

    @classmethod
    def of(cls, cert: Path | None, key: Path | None) -> Tls | None:
        """Both or none, and they must fit.

        Raises
        ------
        UsageError
        """
        if cert is None and key is None:
            return None
        if cert is None or key is None:
            raise UsageError("a certificate and its key are wanted", "--tls-cert PEM --tls-key PEM")
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
        except OSError as exc:  # also ssl's own
            raise UsageError(f"--tls-cert {cert} --tls-key {key}: {exc}", f"ls -l {key}") from exc
        return cls(cert, key)


class Server(uvicorn.Server):
    """uvicorn that says when it listens."""

    def __init__(
        self, app: ASGIApp, listening: Callable[[], None] = lambda: None, tls: Tls | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=ShortConnection,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                ssl_certfile=tls.cert if tls else None,
                ssl_keyfile=tls.key if tls else None,
            )
        )
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._listening()


def bind(host: str, port: int) -> socket.socket:
    """Take a port; 0 takes a free one.

    Raises
    ------
    UsageError
        If the host is no address of this machine.
    CatalogError
        If the port is taken or forbidden.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise UsageError(f"--host {host}: no such address", "try --host 127.0.0.1") from exc
    family, kind, number, _, address = found[0]
    taken = socket.socket(family, kind, number)
    try:
        # A port that a stopped server just left is free, although the kernel still remembers it.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as exc:
        taken.close()
        raise CatalogError(
            f"cannot listen on {host} port {port}: {exc.strerror}",
            "take any free port with --port 0",
        ) from exc
    return taken


def port_for_grpc(host: str, port: int, wanted: int | None) -> int | None:
    """A port that is free at this moment; None without its packages, if nobody asked for gRPC.

    wanted : None is the one after `port`, as Triton has them

    Raises
    ------
    CatalogError
    """
    try:
        import google.protobuf  # type: ignore[import-untyped]  # noqa: F401
        import hpack  # noqa: F401
    except ModuleNotFoundError as exc:
        if wanted is not None:
            raise MissingExtra("serve", "catalog serve --grpc-port") from exc
        part = "hpack" if exc.name == "hpack" else "protobuf"
        out.say(f"no gRPC: {part} is not installed (pip install 'hep-model-catalog[serve]')")
        return None
    if wanted is None:
        wanted = (port + 1) % 65536 if port else 0
    try:
        bind(host, wanted).close()  # models may load for minutes before it is taken for good
    except CatalogError as exc:
        hint = "take another port for gRPC with --grpc-port, or none with --no-grpc"
        raise CatalogError(exc.message, hint) from exc
    return wanted


def address_of(taken: socket.socket, tls: Tls | None = None) -> str:
    """`http://host:port` of a socket."""
    host, port = taken.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
