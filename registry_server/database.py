"""What the server itself remembers: tokens, owners, uploads and jobs, in one SQLite file.

The index is a cache and can be rebuilt; this cannot. Plain SQL with every value bound: another
database needs another `Database`, no other change.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from catalog.errors import CatalogError, cannot_write

FILE = "server.db"
VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS tokens (
  hash TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,
  created REAL NOT NULL, expires REAL NOT NULL, revoked REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (
  store TEXT NOT NULL, model TEXT NOT NULL, owner TEXT NOT NULL, since REAL NOT NULL,
  PRIMARY KEY (store, model)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
  id TEXT PRIMARY KEY, caller TEXT NOT NULL, model TEXT NOT NULL, manifest TEXT NOT NULL,
  touched REAL NOT NULL, result TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
  digest TEXT PRIMARY KEY, path TEXT NOT NULL, size INTEGER NOT NULL,
  store TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, manifest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, caller TEXT NOT NULL, asked TEXT NOT NULL,
  state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, alive REAL NOT NULL DEFAULT 0,
  cancel INTEGER NOT NULL DEFAULT 0, progress TEXT NOT NULL DEFAULT '', result TEXT, error TEXT,
  created REAL NOT NULL, started REAL, finished REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, created);
"""


class Database:
    """Short transactions on a file below CATALOG_HOME. Safe for threads and processes."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Before SQLite makes it by the umask: who can write here can make tokens.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as exc:
            raise cannot_write(self.path, exc) from exc
        with self._opened() as db:
            if (found := int(db.execute("PRAGMA user_version").fetchone()[0])) > VERSION:
                raise CatalogError(
                    f"{self.path}: written by a later version of the catalog (schema {found})",
                    "pip install --upgrade hep-model-catalog",
                )
            if found < VERSION:
                db.execute("PRAGMA journal_mode = WAL")
                db.executescript(
                    f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION};COMMIT;"
                )

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read."""
        with self._opened() as db:
            return [dict(row) for row in db.execute(sql, values)]

    def run(self, sql: str, *values: object) -> int:
        """Write with one statement; how many rows it changed."""
        with self._opened() as db:
            return db.execute(sql, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything in the block, or nothing; one writer at a time."""
        with self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(open_file(self.path)) as db:
                yield db
        except sqlite3.Error as exc:
            raise CatalogError(
                f"{self.path}: {exc}", f"ls -l {self.path}; df -h {self.path}"
            ) from exc


def open_file(path: Path) -> sqlite3.Connection:
    """A connection of one's own; a committed answer survives a power cut."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA synchronous = FULL")
    return db
