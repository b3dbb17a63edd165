"""The server's tables in PostgreSQL, in the schema `catalog_server`, for several processes."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from catalog.errors import MissingExtra, StoreError, Unreachable
from catalog.index.postgres import Connection, migrate, name_of, translated
from catalog.index.sql import plain
from registry_server.database.postgres_schema import CHANNEL, STEPS
from registry_server.database.protocol import Block, Changes
from registry_server.errors import Busy

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.rows import dict_row
except ImportError as exc:
    raise MissingExtra("postgres", "a server in PostgreSQL") from exc

_SESSION = (
    "SET search_path TO catalog_server; SET lock_timeout TO '30s'; "
    # A writer whose machine died must not stop the others.
    "SET idle_in_transaction_session_timeout TO '60s'"
)
# A server that is gone without a word is noticed in seconds, not after TCP's quarter of an hour.
_LINE = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 10}
_CONNECTIONS = 16  # of one process; PostgreSQL allows 100 by default
_PATIENCE = 10.0  # seconds to wait for one of them
_LOOK = 0.2  # seconds between two looks at a lock
_BEAT = 0.25  # seconds between two looks for changes
_BELIEVED = 60.0  # seconds for which what was known holds when nobody can say whether it changed


class PostgresDatabase:
    """A `Database` over connections that are kept, and made again when they are lost."""

    clock = "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
    skip_locked = " FOR UPDATE SKIP LOCKED"
    shared = True

    def __init__(self, url: str) -> None:
        self._url, self._name = url, name_of(url).removeprefix("index ")
        self._line: dict[str, Any] = {**_LINE, **conninfo_to_dict(url)}
        self._guard, self._idle = threading.Lock(), list[Connection]()
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        try:
            with self._taken() as connection:
                migrate(connection, self._name, "catalog_server", STEPS)
        except BaseException:
            self.close()
            raise

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read."""
        with self._taken() as connection:
            return _Block(connection).rows(sql, *values)

    def run(self, sql: str, *values: object) -> int:
        """Write with one statement; how many rows it changed."""
        with self._taken() as connection:
            return _Block(connection).run(sql, *values)

    @contextmanager
    def transaction(self, alone: str = "") -> Iterator[Block]:
        """Everything in the block, or nothing; the lock ends with it."""
        with self._taken() as connection, connection.transaction():
            if alone:
                sql = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
                connection.execute(sql, [f"alone {alone}"])
            yield _Block(connection)

    @contextmanager
    def lock(self, what: str, patience: float) -> Iterator[None]:
        """An advisory lock of a connection, which ends with it; one that waits holds none."""
        until = time.monotonic() + patience
        while True:
            with self._taken() as connection:
                key = [f"lock {what}"]
                sql = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
                if connection.execute(sql, key).fetchall() == [(True,)]:
                    try:
                        yield
                    finally:
                        with suppress(psycopg.Error):  # it was lost, and the lock with it
                            sql = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"
                            connection.execute(sql, key)
                    return
            if time.monotonic() > until:
                raise Busy("another request is at it", "try again later")
            time.sleep(_LOOK)

    def changes(self) -> Changes:
        """A watch in a thread of its own."""
        return _Changes(self)

    def close(self) -> None:
        """Hang up what is kept."""
        with self._guard:
            kept, self._idle = self._idle, []
        for connection in kept:
            connection.close()

    def connect(self) -> Connection:
        """A connection of one's own, without a transaction around each statement."""
        with self._translated():
            connection: Connection = psycopg.connect(
                **self._line, autocommit=True, application_name="catalog-server",
                client_encoding="UTF8",
            )  # fmt: skip
            try:
                connection.execute(_SESSION)
            except BaseException:
                connection.close()
                raise
            return connection

    @contextmanager
    def _taken(self) -> Iterator[Connection]:
        if not self._free.acquire(timeout=_PATIENCE):
            raise Unreachable(f"{self._name}: all connections are busy", "try again later")
        try:
            connection = self._kept() or self.connect()
            try:
                with self._translated():
                    yield connection
            finally:
                with self._guard:
                    sound = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
                    if sound:
                        self._idle.append(connection)
                if not sound:
                    connection.close()
        finally:
            self._free.release()

    def _kept(self) -> Connection | None:
        """One that is there, and was not lost when the server restarted."""
        while True:
            with self._guard:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            with suppress(psycopg.Error):
                connection.execute("SELECT 1")
                return connection
            connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as exc:
            raise translated(exc, self._name) from exc


class _Block:
    """Statements on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(sql.replace("?", "%s"), plain(values)).fetchall()

    def run(self, sql: str, *values: object) -> int:
        """Write."""
        return self._connection.execute(sql.replace("?", "%s"), plain(values)).rowcount


class _Changes:
    """Listens to the trigger on the tokens.

    While the server is away nothing can be revoked either, so what was known holds; for a minute,
    because it might only be us that cannot reach it.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._guard, self._stop = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._count, self._heard = 0, 0.0

    def mark(self) -> object:
        """How often they have changed, or may have while we did not hear."""
        if self._thread is None:
            with self._guard:
                if self._thread is None:
                    self._heard = time.monotonic()
                    self._stop.clear()
                    self._thread = threading.Thread(target=self._listen, name="tokens", daemon=True)
                    self._thread.start()
        if time.monotonic() - self._heard > _BELIEVED:
            raise Unreachable("nobody can say which tokens hold", "try again later")
        return self._count

    def close(self) -> None:
        """End the thread."""
        with self._guard:
            self._stop.set()
            if self._thread is not None:
                self._thread.join()
            self._thread = None

    def _listen(self) -> None:
        while not self._stop.is_set():
            with suppress(StoreError, psycopg.Error), self._database.connect() as connection:
                connection.add_notify_handler(self._changed)
                connection.execute(f"LISTEN {CHANNEL}")
                self._count += 1  # and what came before we listened
                while not self._stop.is_set():
                    connection.execute("SELECT 1")  # hands over what has come
                    self._heard = time.monotonic()
                    select.select([connection], [], [], _BEAT)
            self._stop.wait(_BEAT)

    def _changed(self, _: object) -> None:
        self._count += 1
