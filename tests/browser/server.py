"""A server over the catalog of this environment, as `catalog serve` starts it on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from catalog.settings import Settings, load_settings
from registry_server.api.registry import Registry
from registry_server.api.setup import access_for, add_registry
from registry_server.app import create_app
from registry_server.background import running
from registry_server.database import open_database
from registry_server.engine import CatalogSource


@contextmanager
def own_catalog(settings: Settings | None = None, auth: bool | None = None) -> Iterator[str]:
    settings = settings or load_settings()
    registry = Registry(settings, open_database(settings))
    access = access_for(registry, "127.0.0.1", auth=auth)
    app = create_app(CatalogSource(settings), [], any_model=True)
    add_registry(app, registry, access)
    with running(app) as url:
        yield url
