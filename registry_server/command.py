"""`catalog serve`: models over the Open Inference Protocol."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.errors import MissingExtra

if TYPE_CHECKING:
    from registry_server.listen import Server

_PARTS = {"fastapi", "httptools", "jinja2", "starlette", "uvicorn"}


def serve(
    refs: Annotated[
        list[str] | None,
        typer.Argument(help="Models to serve: name, name@version or name@alias; default any."),
    ] = None,
    any_model: Annotated[
        bool, typer.Option("--any", help="Also serve every other model, loaded when asked for.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free port.", min=0, max=65535)] = 8000,
    grpc_port: Annotated[
        int | None,
        typer.Option(help="Port of gRPC; default the one after --port.", min=0, max=65535),
    ] = None,
    no_grpc: Annotated[bool, typer.Option("--no-grpc", help="HTTP only.")] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name clients may use; repeatable.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Cores to compute on; default all.", min=1, max=1024)
    ] = None,
    memory_gb: Annotated[
        float | None,
        typer.Option(help="Memory for models; default half of this machine's.", min=0.001),
    ] = None,
    max_body_mb: Annotated[int, typer.Option(help="Largest request.", min=1, max=2047)] = 64,
    max_rows: Annotated[int, typer.Option(help="Largest batch.", min=1)] = 1024,
    auth: Annotated[
        bool | None,
        typer.Option(
            "--auth/--no-auth",
            help="Ask for tokens (default: yes, but for this machine alone). "
            "Without: everybody may read; who is on this machine may do all.",
        ),
    ] = None,
    oidc: Annotated[
        Path | None, typer.Option(help="YAML of an OpenID Connect issuer; docs/registry.md.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM of the certificate; HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM of its key.")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log every request to stderr, as a line of JSON.")
    ] = False,
) -> None:
    """Serve models (Open Inference Protocol v2), the catalog under /api/v1, and its pages at /."""
    try:
        from registry_server.api.setup import access_for, add_registry
        from registry_server.app import create_app
        from registry_server.guard import log_requests
        from registry_server.listen import Server, Tls, address_of, bind, port_for_grpc
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _PARTS:
            raise
        raise MissingExtra("serve", "catalog serve") from exc
    from catalog.settings import load_settings
    from registry_server.api.registry import Registry
    from registry_server.database import open_database
    from registry_server.engine import CatalogSource
    from registry_server.tensors import Limits

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING)
    if verbose:
        log_requests()
    body, settings = max_body_mb << 20, load_settings()
    tls = Tls.of(tls_cert, tls_key)
    with bind(host, port) as taken:
        second = None if no_grpc else port_for_grpc(host, port, grpc_port)
        registry = Registry(settings, open_database(settings))
        access = access_for(registry, host, auth=auth, oidc=oidc)
        app = create_app(
            CatalogSource(settings),
            refs or [],
            limits=Limits(body=body, waiting=8 * body, rows=max_rows),
            threads=threads,
            memory=int(memory_gb * 1e9) if memory_gb else None,
            any_model=any_model or not refs,
            host=host,
            allow_hosts=allow_host or (),
        )
        add_registry(app, registry, access)
        if second is not None:
            from registry_server.inference_grpc.listen import add_grpc

            add_grpc(app, taken.getsockname()[0], second, access=access, tls=tls)
        names = [model.ref for model in app.state.engine.models()]
        names += ["any model of the catalog"] if any_model or not refs else []

        def say() -> None:
            also = "" if second is None else f" and gRPC on {app.state.grpc}"
            what = f"serving {', '.join(names)} on {address_of(taken, tls)}{also} (Ctrl-C stops)"
            print(what, file=sys.stderr, flush=True)

        # What is loaded stays: not looking at it again takes 40 ms pauses out of the answers.
        gc.collect()
        gc.freeze()
        _run(Server(app, say, tls), taken)


def _run(server: Server, taken: socket.socket) -> None:
    """Run until a signal; being told to stop is no failure, so the exit code stays 0."""
    # uvicorn raises the signal again once it has stopped; by then there is nothing left to do.
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        server.run([taken])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
