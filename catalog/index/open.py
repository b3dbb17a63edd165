"""Which database holds the index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.index.index import Index
from catalog.index.sqlite import open_file

if TYPE_CHECKING:
    from catalog.settings import Settings


@contextmanager
def open_index(where: Settings | Path) -> Iterator[Index]:
    """Open (and create, if absent) the index: of the registry, `Settings.index`, or the home's.

    where : a folder stands for the SQLite file in it

    Raises
    ------
    StoreError
        It cannot be opened; the reason and what to do are in the error.
    MissingExtra
        It is in PostgreSQL, and `psycopg` is not installed.
    """
    if not isinstance(where, Path) and where.registry:
        from catalog.remote.connect import connect
        from catalog.remote.index import RemoteIndex

        yield RemoteIndex(connect(where.registry))
    elif isinstance(where, Path) or not where.index:
        with open_file(where if isinstance(where, Path) else where.home) as file:
            yield Index(file)
    else:
        from catalog.index.postgres import connected

        with connected(where.index) as database:
            yield Index(database)
