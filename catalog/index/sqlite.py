"""The index in one SQLite file, with FTS5 for text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog.errors import StoreError
from catalog.index.protocol import Values
from catalog.index.schema import prepare


class SqliteDatabase:
    """A `Database` over one connection to a file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def ask(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Read."""
        return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, many: Iterable[Values]) -> None:
        """Write."""
        self._connection.executemany(sql, many)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """The only writer while it lasts."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def found(self, words: Sequence[str]) -> tuple[str, str]:
        """A query of FTS5; there are only letters and digits in the words."""
        match = " ".join(f'"{word}"*' for word in words)
        return "id IN (SELECT rowid FROM found WHERE found MATCH ?)", match

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextmanager
def open_file(home: Path) -> Iterator[SqliteDatabase]:
    """Open (and create, if absent) `index.db` below `home`.

    Raises
    ------
    StoreError
        The folder cannot be written, the disk is full, or the file is not an index.
    """
    path = home / "index.db"
    hint = (
        "check the folder's free space and permissions; the index is only a cache: "
        "if it is damaged, delete the file and run: catalog sync"
    )
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise StoreError(f"cannot create {home}: {exc.strerror}", hint) from exc
    try:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        database = SqliteDatabase(connection)
        try:
            prepare(connection, database)
            yield database
        finally:
            database.close()
    except sqlite3.Error as exc:
        raise StoreError(f"index {path}: {exc}", hint) from exc
