"""The index in one SQLite file, with FTS5 for text."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog.errors import StoreError
from catalog.index.protocol import Found, Values
from catalog.index.schema import check, prepare

_MAPPED = 4 << 30  # bytes of the file that are read without a copy


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

    def found(self, words: Sequence[Sequence[str]], terms: Sequence[str] = ()) -> Found:
        """A query of FTS5; there are only letters and digits in the words, and `_` in the terms."""
        groups = [
            " OR ".join(f'"{it[:-1]}"*' if it.endswith("*") else f'"{it}"' for it in group)
            for group in (*words, *([it] for it in terms))
        ]
        match = " AND ".join(f"({group})" for group in groups)
        return Found(
            "place IN (SELECT rowid FROM found WHERE found MATCH ?)", match,
            # CROSS: not the other way round, which would look every version up among the words.
            "found CROSS JOIN versions ON place = found.rowid", "found MATCH ?", "found.rowid",
        )  # fmt: skip

    def joined(self, line: str, order: str) -> str:
        """It joins what comes as it comes, and that is in order."""
        return f"group_concat({line}, '\n')"

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextmanager
def open_file(home: Path) -> Iterator[SqliteDatabase]:
    """Open (and create, if absent) `index.db` below `home`; to read it, where no more is allowed.

    Raises
    ------
    StoreError
        There is no index and the folder cannot be written, the disk is full, the file is no
        index, or an old one that must be brought up to date where it can be written.
    """
    path = home / "index.db"
    hint = (
        "check the folder's free space and permissions; the index is only a cache: "
        "if it is damaged, delete the file and run: catalog sync"
    )
    only_read = path.exists() and not _writable(home, path)
    try:
        if not only_read:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise StoreError(f"cannot create {home}: {exc.strerror}", hint) from exc
    try:
        connection = _connect(path, only_read)
        database = SqliteDatabase(connection)
        try:
            if only_read:
                check(connection)
            else:
                prepare(connection, database)
            yield database
        finally:
            database.close()
    except sqlite3.Error as exc:
        raise StoreError(f"index {path}: {exc}", hint) from exc


def _writable(home: Path, path: Path) -> bool:
    return os.access(home, os.W_OK) and os.access(path, os.W_OK)


def _connect(path: Path, only_read: bool) -> sqlite3.Connection:
    """One thread at a time uses it, but not always the same one."""
    address = path.absolute().as_uri()
    if only_read:
        # Without `immutable` SQLite needs a journal beside the file, where it may not make one.
        there = path.with_name("index.db-wal").exists()
        address += "?mode=ro" if there else "?mode=ro&immutable=1"
    connection = sqlite3.connect(
        address, uri=True, timeout=30, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA mmap_size = {_MAPPED}")
    return connection
