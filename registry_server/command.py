"""`catalog serve`: models over the Open Inference Protocol."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.errors import MissingExtra

if TYPE_CHECKING:
    from registry_server.listen import Server

_PARTS = {"fastapi", "starlette", "uvicorn", "h11"}


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
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log every request to stderr.")
    ] = False,
) -> None:
    """Serve models over HTTP (Open Inference Protocol v2), for any of its clients."""
    try:
        from registry_server.app import create_app
        from registry_server.listen import Server, address_of, bind
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _PARTS:
            raise
        raise MissingExtra("serve", "catalog serve") from exc
    from catalog.settings import load_settings
    from registry_server.engine import CatalogSource
    from registry_server.tensors import Limits

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING)
    body = max_body_mb << 20
    with bind(host, port) as taken:
        app = create_app(
            CatalogSource(load_settings()),
            refs or [],
            limits=Limits(body=body, waiting=8 * body, rows=max_rows),
            threads=threads,
            memory=int(memory_gb * 1e9) if memory_gb else None,
            any_model=any_model or not refs,
            host=host,
            allow_hosts=allow_host or (),
        )
        names = [model.ref for model in app.state.engine.models()]
        names += ["any model of the catalog"] if any_model or not refs else []
        line = f"serving {', '.join(names)} on {address_of(taken)} (Ctrl-C stops)"
        # What is loaded stays: not looking at it again takes 40 ms pauses out of the answers.
        gc.collect()
        gc.freeze()
        _run(Server(app, lambda: print(line, file=sys.stderr, flush=True)), taken)


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
