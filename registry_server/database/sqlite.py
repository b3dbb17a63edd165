"""The server's tables in one SQLite file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from catalog.errors import CatalogError, cannot_write
from catalog.index.sql import plain
from registry_server.database.protocol import Block, Changes
from registry_server.database.sqlite_schema import STEPS
from registry_server.errors import Busy

FILE = "server.db"
_LOOK = 0.05  # seconds between two looks at a lock


class SqliteDatabase:
    """A `Database` in a file below CATALOG_HOME."""

    clock = "((julianday('now') - 2440587.5) * 86400.0)"
    skip_locked = ""  # one process writes at a time
    shared = False

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        self._locks = home / "locks"
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Before SQLite makes it by the umask: who can write here can make tokens.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as exc:
            raise cannot_write(self.path, exc) from exc
        with self._opened() as db:
            self._migrate(db)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read."""
        with self._opened() as db:
            return _Block(db).rows(sql, *values)

    def run(self, sql: str, *values: object) -> int:
        """Write with one statement; how many rows it changed."""
        with self._opened() as db:
            return _Block(db).run(sql, *values)

    @contextmanager
    def transaction(self, alone: str = "") -> Iterator[Block]:
        """Everything in the block, or nothing; one writer at a time, whatever it is alone in."""
        with self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield _Block(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def lock(self, what: str, patience: float) -> Iterator[None]:
        """A lock on one of 256 files; who has another name of the same file waits in vain."""
        path = self._locks / hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:2]
        try:
            self._locks.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise cannot_write(path, exc) from exc
        try:
            until = time.monotonic() + patience
            while not _locked(file):
                if time.monotonic() > until:
                    raise Busy("another request is at it", "try again later")
                time.sleep(_LOOK)
            yield
        finally:
            os.close(file)

    def changes(self) -> Changes:
        """A watch on the file."""
        return _Changes(self.path)

    def close(self) -> None:
        """Nothing is kept open."""

    def _migrate(self, db: sqlite3.Connection) -> None:
        found = _version(db)
        if found == len(STEPS):
            return
        if not found:
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        try:
            if (found := _version(db)) > len(STEPS):
                raise CatalogError(
                    f"{self.path}: written by a later version of the catalog (schema {found})",
                    "pip install --upgrade hep-model-catalog",
                )
            for statement in (it for step in STEPS[found:] for it in step.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(STEPS)}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(_open(self.path)) as db:
                yield db
        except sqlite3.Error as exc:
            raise CatalogError(
                f"{self.path}: {exc}", f"ls -l {self.path}; df -h {self.path}"
            ) from exc


class _Block:
    """Statements on one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read."""
        return [dict(row) for row in self._db.execute(sql, plain(values))]

    def run(self, sql: str, *values: object) -> int:
        """Write."""
        return self._db.execute(sql, plain(values)).rowcount


class _Changes:
    """SQLite counts the writes of other connections (`PRAGMA data_version`): microseconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def mark(self) -> object:
        """The connection, too: another one counts from anew."""
        with self._lock:
            if self._db is None:
                self._db = _open(self._path)
            return self._db, self._db.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None


def _open(path: Path) -> sqlite3.Connection:
    """A connection of one's own; a committed answer survives a power cut."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA synchronous = FULL")
    return db


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _locked(file: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
