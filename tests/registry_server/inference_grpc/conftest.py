"""One server that speaks HTTP and gRPC, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from raw import LIMITS, Served
from tiny_models import Version

from registry_server.app import create_app
from registry_server.background import running
from registry_server.engine import MemorySource
from registry_server.inference_grpc.listen import add_grpc


@pytest.fixture(scope="session")
def served(versions: dict[str, Version]) -> Iterator[Served]:
    source = MemorySource(versions.values())
    app = create_app(source, list(versions), limits=LIMITS, threads=2)
    add_grpc(app, "127.0.0.1", 0)
    with running(app) as url:
        yield Served(url, app.state.grpc)


@pytest.fixture
def channel(served: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.address) as channel:
        yield channel
