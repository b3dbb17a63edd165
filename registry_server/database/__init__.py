"""What the server itself remembers: tokens, owners, uploads, jobs and who did what.

The index is a cache and can be rebuilt; this cannot. It lies in one SQLite file below CATALOG_HOME,
or, where CATALOG_INDEX names a PostgreSQL, in a schema of its own there, which several server
processes share.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catalog.errors import cannot_write
from registry_server.database.protocol import Block, Changes, Database
from registry_server.database.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from catalog.settings import Settings

__all__ = ["Block", "Changes", "Database", "open_database"]


def open_database(where: Settings | Path) -> Database:
    """Open (and create, if absent) the server's tables; close it when done.

    where : a folder stands for the SQLite file in it

    Raises
    ------
    CatalogError
        The file cannot be written, or is of a later version.
    StoreError, NotAuthorised, UsageError, MissingExtra
        It is in PostgreSQL, which refused, or cannot be reached.
    """
    if isinstance(where, Path) or not where.index:
        return SqliteDatabase(where if isinstance(where, Path) else where.home)
    from registry_server.database.postgres import PostgresDatabase

    try:  # for what stays in files: uploads, the audit log of this server
        where.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise cannot_write(where.home, exc) from exc
    return PostgresDatabase(where.index)
