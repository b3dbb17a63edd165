"""The index in PostgreSQL, for many users: full text by tsvector and GIN.

Everything lies in the schema `catalog` of the database. Vectors are plain bytes: they are compared
by fingerprint distances that no operator of pgvector knows, so pgvector is not used.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from catalog.errors import MissingExtra, NotAuthorised, StoreError, Unreachable, UsageError
from catalog.index.postgres_schema import STEPS
from catalog.index.protocol import Found, Values
from catalog.index.put import put_rows, whole_rows

try:
    import psycopg
    from psycopg import errors
    from psycopg.conninfo import conninfo_to_dict
except ImportError as exc:
    raise MissingExtra("postgres", "an index in PostgreSQL") from exc

Connection = psycopg.Connection[tuple[Any, ...]]

_LOCK = 0x68657063  # "hepc": whoever writes holds it until the end of the transaction
_SESSION = (
    # Plans of a search cost less than compiling them, and other users need the other cores.
    "SET search_path TO catalog; SET jit TO off; SET max_parallel_workers_per_gather TO 0; "
    # As patient as SQLite's `timeout`; a writer whose machine died must not stop the others.
    "SET lock_timeout TO '30s'; SET idle_in_transaction_session_timeout TO '60s'"
)
_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)  # s before each try to connect again: servers restart
_FORMS = re.compile(r"postgres(ql)?://")
_FORM = "CATALOG_INDEX=postgresql://USER@HOST/DATABASE, the password in PGPASSWORD or ~/.pgpass"


class PostgresDatabase:
    """A `Database` over one connection, made again when it is lost."""

    def __init__(self, url: str) -> None:
        self._url, self._name = url, name_of(url)
        self._writing = False
        self._connection = self._connect()

    def ask(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Read; tried again if the connection was lost and no transaction with it."""
        try:
            with self._translated():
                return self._fetch(sql, values)
        except StoreError:
            if self._writing or not self._connection.closed:
                raise
        self._reconnect()
        with self._translated():
            return self._fetch(sql, values)

    def run(self, sql: str, many: Iterable[Values]) -> None:
        """Write."""
        with self._translated(), self._connection.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), many)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """The only writer while it lasts; readers go on."""
        if not self._answers():
            self._reconnect()
        with self._translated(), self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            self._writing = True
            try:
                yield
            finally:
                self._writing = False

    def found(self, words: Sequence[Sequence[str]], terms: Sequence[str] = ()) -> Found:
        """A tsquery; there are only letters and digits in the words, and `_` in the terms."""
        groups = [
            " | ".join(f"'{it[:-1]}':*" if it.endswith("*") else f"'{it}'" for it in group)
            for group in (*words, *([it] for it in terms))
        ]
        query = " & ".join(f"({group})" for group in groups)
        condition = "found @@ CAST(? AS tsquery)"
        return Found(condition, query, "versions", condition, "place")

    def joined(self, line: str, order: str) -> str:
        """It sorts what it joins."""
        return f"string_agg({line}, E'\\n' ORDER BY {order})"

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _fetch(self, sql: str, values: Values) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql.replace("?", "%s"), values).fetchall()

    def _connect(self) -> Connection:
        with self._translated():
            # Plans are made for the values at hand: a common word needs another one than a rare.
            connection = psycopg.connect(
                self._url, autocommit=True, prepare_threshold=None, application_name="catalog",
                client_encoding="UTF8",
            )  # fmt: skip
            self._connection = connection
            try:
                connection.execute(_SESSION)
                migrate(connection, self._name, "catalog", STEPS, self._renew)
            except BaseException:
                connection.close()
                raise
            return connection

    def _answers(self) -> bool:
        """Whether the connection holds: one that nobody used for long may have been lost."""
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _renew(self, found: int) -> None:
        """Put again what an older catalog put, which knew neither places nor terms."""
        rows = whole_rows(self) if 0 < found < 2 else iter(())
        while batch := list(islice(rows, 1000)):
            put_rows(self, batch)

    def _reconnect(self) -> None:
        for left, pause in enumerate(_PAUSES, start=1 - len(_PAUSES)):
            time.sleep(pause)
            try:
                self._connection = self._connect()
                return
            except StoreError:
                if not left:
                    raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of psycopg as ours, without the statement and without a password."""
        try:
            yield
        except psycopg.Error as exc:
            raise translated(exc, self._name) from exc


@contextmanager
def connected(url: str) -> Iterator[PostgresDatabase]:
    """Connect to the index, and create or bring up to date its tables.

    Raises
    ------
    StoreError, NotAuthorised, UsageError, MissingExtra
    """
    database = PostgresDatabase(url)
    try:
        yield database
    finally:
        database.close()


def migrate(
    connection: Connection, name: str, schema: str, steps: Sequence[str],
    after: Callable[[int], None] = lambda _: None,
) -> None:  # fmt: skip
    """Run the steps that a schema has not seen; of several processes one does it.

    after : is told the version that was found, in the same transaction

    Raises
    ------
    StoreError
    """
    found = _version(connection, schema)
    if found == len(steps):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        found = _version(connection, schema)
        if found > len(steps):
            raise StoreError(
                f"{name}: written by a later version of the catalog (schema {found})",
                "pip install --upgrade hep-model-catalog",
            )
        if not found:
            _check_encoding(connection, name)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            connection.execute(f"CREATE TABLE {schema}.schema_version (version integer NOT NULL)")
            connection.execute(f"INSERT INTO {schema}.schema_version VALUES (0)")  # noqa: S608
        for step in steps[found:]:
            connection.execute(step)
        after(found)
        connection.execute(f"UPDATE {schema}.schema_version SET version = %s", [len(steps)])  # noqa: S608


def _version(connection: Connection, schema: str) -> int:
    # Not to_regclass: while it waited for the lock, a session may miss what the first one made.
    sql = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'schema_version'"
    if not connection.execute(sql, [schema]).fetchall():
        return 0
    sql = f"SELECT version FROM {schema}.schema_version"  # noqa: S608
    return int(connection.execute(sql).fetchall()[0][0])


def _check_encoding(connection: Connection, name: str) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"{name}: its encoding is {encoding}, which cannot hold every name",
            "create one that can: createdb --encoding=UTF8 --template=template0 NAME",
        )


def translated(exc: psycopg.Error, name: str) -> StoreError | NotAuthorised:
    """What the user can act on."""
    first = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
    if isinstance(exc, errors.InsufficientPrivilege | errors.InvalidAuthorizationSpecification):
        return NotAuthorised(f"{name}: {first}", _FORM)
    if "authentication failed" in first or "no password supplied" in first:
        return NotAuthorised(f"{name}: {first}", _FORM)
    if isinstance(exc, errors.LockNotAvailable):
        return Unreachable(f"{name}: another process has been writing for 30 s", "try again later")
    if isinstance(exc, errors.OperationalError | errors.InterfaceError):
        return Unreachable(
            f"{name}: {first}",
            "check that the server runs and can be reached, then type the command again: nothing "
            "was half-written, and doing it twice does no harm",
        )
    if isinstance(exc, errors.ReadOnlySqlTransaction):
        return StoreError(
            f"{name}: {first}", "set CATALOG_INDEX to a database that can be written, not to a copy"
        )
    if not isinstance(
        exc,
        errors.UndefinedTable | errors.UndefinedColumn | errors.InvalidSchemaName
        | errors.UndefinedObject | errors.DataCorrupted | errors.IndexCorrupted,
    ):  # fmt: skip
        return StoreError(f"{name}: {first}", "nothing was written; the server's log may say more")
    return StoreError(
        f"{name}: {first}",
        "the index is only a cache: if it is damaged, drop its schema "
        "(psql -c 'DROP SCHEMA catalog CASCADE') and run: catalog sync",
    )


def name_of(url: str) -> str:
    """What may be printed of an address: no password, and nothing that was not understood."""
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        parts = {"host": "@"}
    user, host, port = parts.get("user", ""), parts.get("host", ""), parts.get("port", "")
    place, database = f"{host}:{port}" if port else host, parts.get("dbname", "")
    # A `/` or `@` in a password makes libpq take the rest of it for something that is printed.
    if not _FORMS.match(url) or "@" in place + database or not re.fullmatch(r"[0-9,]*", port):
        raise UsageError("CATALOG_INDEX is not an address of PostgreSQL", _FORM)
    return f"index postgresql://{user}{'@' if user else ''}{place}/{database}"
