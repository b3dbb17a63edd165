"""A server with tight limits that runs for all tests of this folder."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from house import Places
from tiny_models import MODELS, Version

from registry_server.background import serving
from registry_server.engine import MemorySource
from registry_server.tensors import Limits

LIMITS = Limits(
    body=1 << 20, json=1 << 19, json_elements=4096, waiting=1 << 24, rows=64, elements=1 << 18
)


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    root = tmp_path_factory.mktemp("models")
    found = {}
    for i, (ref, build) in enumerate(MODELS.items()):
        folder = root / ref.replace("@", "-")
        build(folder)
        name, _, number = ref.partition("@")
        found[ref] = Version(name, int(number), f"sha256:{i:064x}", folder)
    return found


@pytest.fixture(scope="session")
def url(versions: dict[str, Version]):
    with serving(MemorySource(versions.values()), list(versions), limits=LIMITS, threads=2) as url:
        yield url


@pytest.fixture
def link(url: str) -> Iterator[http.client.HTTPConnection]:
    link = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    yield link
    link.close()


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test opened ends with it; what its file opened, with the file."""
    kept = len(Places.opened)
    yield
    Places.close(kept)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every house of the file is built twice: with files, and with databases of a server."""
    Places.server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    yield
    Places.close()
    Places.server = None
