"""Where the tests keep an index: a file, or a database of the server of this run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catalog.settings import Settings

if TYPE_CHECKING:
    from tests.postgres_server import Server


def database(folder: Path, server: Server | None) -> Settings:
    """Settings of an empty index: in `folder`, or in the default database of `server`."""
    if server:
        import psycopg

        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("SET client_min_messages TO warning")
            connection.execute("DROP SCHEMA IF EXISTS catalog CASCADE")
    return Settings(folder, folder, "mlflow", index=server.url() if server else "")
