"""A server on an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from echo import Echo
from peer import Peer, request

from registry_server.http2.connection import Connection


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Runs in a thread; where a test ends nothing is held, open or running."""
    service, ready, stop = Echo(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = await loop.create_server(
            lambda: Connection(service, service.others, 64), "127.0.0.1", 0
        )
        service.address = server.sockets[0].getsockname()
        ready.set()
        await stop.wait()
        server.close()
        async with asyncio.timeout(20):
            for connection in list(service.others):
                connection.abort()
            while service.others or service.running:
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    yield service
    with Peer(service.address) as last:  # who came before it has been let in, and can be let go
        last.send(request(1, "/echo"))
        last.answers(1)
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert (service.held, service.running, len(service.others)) == (0, 0, 0)
