"""A server in a thread of this process: for tests, notebooks and the demo."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from starlette.types import ASGIApp

from catalog.errors import CatalogError
from registry_server.app import create_app
from registry_server.engine import Source
from registry_server.listen import Server, address_of, bind
from registry_server.tensors import Limits

_START_SECONDS = 30


@contextmanager
def serving(
    source: Source,
    refs: Sequence[str],
    *,
    limits: Limits | None = None,
    threads: int | None = None,
    memory: int | None = None,
    any_model: bool = False,
) -> Iterator[str]:
    """Serve on a free loopback port while the block runs; gives the URL.

    Raises
    ------
    CatalogError
        If a model cannot be loaded or the server does not start.
    """
    app = create_app(
        source, refs, limits=limits, threads=threads, memory=memory, any_model=any_model
    )
    with running(app) as url:
        yield url


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The same for an application of any kind.

    Raises
    ------
    CatalogError
        If the server does not start.
    """
    listening = threading.Event()
    server = Server(app, listening.set)
    with bind("127.0.0.1", 0) as taken:
        url = address_of(taken)
        thread = threading.Thread(target=server.run, args=([taken],), name="registry-server")
        thread.start()
        try:
            if not listening.wait(_START_SECONDS):
                raise CatalogError(f"the server did not start within {_START_SECONDS} s")
            yield url
        finally:
            server.should_exit = True
            thread.join()
