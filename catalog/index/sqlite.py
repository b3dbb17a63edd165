"""The index in one SQLite file: real columns for what is filtered, FTS5 for text.

It imports only the standard library, because `catalog search` must start at once. Cards are kept
as the JSON text that `show` prints.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import StoreError
from catalog.index.query import DETECTOR_TYPES, Query

if TYPE_CHECKING:
    from catalog.stores.protocol import Alias

_SCHEMA_VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
  id INTEGER PRIMARY KEY,
  store TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
  task TEXT, family TEXT, detector TEXT, detector_type TEXT, e_low REAL, e_high REAL,
  licence TEXT, validated INTEGER NOT NULL DEFAULT 0, parent TEXT, summary TEXT NOT NULL DEFAULT '',
  card TEXT NOT NULL DEFAULT '',
  UNIQUE (store, name, version)
);
CREATE INDEX IF NOT EXISTS versions_detector ON versions (detector_type, detector);
CREATE INDEX IF NOT EXISTS versions_name ON versions (name);
CREATE INDEX IF NOT EXISTS versions_digest ON versions (digest);
CREATE INDEX IF NOT EXISTS versions_parent ON versions (parent);
CREATE TABLE IF NOT EXISTS particles (
  version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE, pdg INTEGER NOT NULL,
  PRIMARY KEY (version_id, pdg)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS materials (
  version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE, material TEXT NOT NULL,
  PRIMARY KEY (version_id, material)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (
  version_id INTEGER PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE, vector BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS aliases (
  store TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL,
  PRIMARY KEY (store, name, alias)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text);
"""
_COLUMNS = (
    "store", "name", "version", "digest", "task", "family", "detector", "detector_type",
    "e_low", "e_high", "licence", "validated", "parent", "summary", "card",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One version as the index knows it. `task` is None for an undocumented version.

    `aliases` are read only; they are put by `Index.set_alias` and `Index.replace_store`.
    `vector` is put only: a search never reads it; `Index.vectors` does.
    """

    store: str
    name: str
    version: int
    digest: str
    task: str | None = None
    family: str | None = None
    detector: str | None = None
    detector_type: str | None = None
    e_low: float | None = None
    e_high: float | None = None
    licence: str | None = None
    validated: bool = False
    parent: str | None = None
    summary: str = ""
    card: str = ""
    particles: tuple[int, ...] = ()
    materials: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    vector: bytes = b""

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


class Index:
    """Search and look-up over one SQLite file. Several processes may use it at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def put(self, row: Row) -> None:
        """Insert or replace one version."""
        with self._transaction():
            self._delete("store = ? AND name = ? AND version = ?", row.store, row.name, row.version)
            self._insert(row)

    def replace_store(self, store: str, rows: Iterable[Row], aliases: Iterable[Alias] = ()) -> None:
        """Make the index hold exactly `rows` and `aliases` for one store, in one transaction."""
        with self._transaction():
            self._delete("store = ?", store)
            for row in rows:
                self._insert(row)
            self._db.execute("DELETE FROM aliases WHERE store = ?", (store,))
            for alias in aliases:
                self._put_alias(store, alias)

    def set_alias(self, store: str, alias: Alias) -> None:
        """Remember what an alias of a store means now."""
        with self._transaction():
            self._put_alias(store, alias)

    def drop_alias(self, store: str, name: str, alias: str) -> None:
        """Forget an alias."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM aliases WHERE store = ? AND name = ? AND alias = ?",
                (store, name, alias),
            )

    def search(self, query: Query) -> tuple[int, list[Row]]:
        """(number of matches, the first `query.limit` of them) in a stable order."""
        where, values = _where(query)
        total = int(self._db.execute(f"SELECT count(*) FROM versions{where}", values).fetchone()[0])  # noqa: S608
        rows = self._rows(f"{where} ORDER BY name, version, store LIMIT ?", (*values, query.limit))
        return total, rows

    def lookup(
        self, name: str, *, store: str | None, version: int | None, digest: str | None
    ) -> list[Row]:
        """Versions of one model: documented ones first, then the newest. `digest` may be cut."""
        parts, values = ["name = ?"], [name]
        for column, value in (("store = ?", store), ("version = ?", version)):
            if value is not None:
                parts.append(column)
                values.append(str(value))
        if digest is not None:
            parts.append("substr(digest, 1, ?) = ?")
            values += [str(len(digest)), digest]
        return self._rows(
            f" WHERE {' AND '.join(parts)} ORDER BY card = '', version DESC", tuple(values)
        )

    def by_digest(self, digest: str) -> list[Row]:
        """Every place where one version lies."""
        return self._rows(" WHERE digest = ? ORDER BY store, name, version", (digest,))

    def children(self, digest: str) -> list[Row]:
        """Versions adapted from one version."""
        return self._rows(" WHERE parent = ? ORDER BY name, version", (digest,))

    def vectors(self) -> dict[str, bytes]:
        """Short vectors of all fingerprints (`catalog.fingerprint.stack`) by digest of version."""
        found = self._db.execute(
            "SELECT digest, vector FROM vectors JOIN versions ON versions.id = version_id"
        )
        return {str(digest): bytes(vector) for digest, vector in found}

    def names(self) -> list[str]:
        """Names of all models."""
        return [str(row[0]) for row in self._db.execute("SELECT DISTINCT name FROM versions")]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _delete(self, where: str, *values: object) -> None:
        ids = [r[0] for r in self._db.execute(f"SELECT id FROM versions WHERE {where}", values)]  # noqa: S608
        for number in ids:
            self._db.execute("DELETE FROM words WHERE rowid = ?", (number,))
            self._db.execute("DELETE FROM versions WHERE id = ?", (number,))

    def _insert(self, row: Row) -> None:
        values = [getattr(row, column) for column in _COLUMNS]
        marks = ", ".join("?" * len(_COLUMNS))
        sql = f"INSERT INTO versions ({', '.join(_COLUMNS)}) VALUES ({marks})"  # noqa: S608
        number = self._db.execute(sql, values).lastrowid
        self._db.executemany(
            "INSERT OR IGNORE INTO particles VALUES (?, ?)", [(number, p) for p in row.particles]
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO materials VALUES (?, ?)", [(number, m) for m in row.materials]
        )
        if row.vector:
            self._db.execute("INSERT INTO vectors VALUES (?, ?)", (number, row.vector))
        words = [row.name, row.summary, row.task, row.family, row.detector, row.detector_type]
        text = " ".join(str(word) for word in (*words, *row.materials) if word)
        self._db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, text))

    def _put_alias(self, store: str, alias: Alias) -> None:
        text = alias.alias.encode("utf-8", "backslashreplace").decode()  # a stranger's
        values = (store, alias.name, text, alias.version)
        self._db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?, ?)", values)

    def _rows(self, tail: str, values: tuple[Any, ...]) -> list[Row]:
        sql = f"SELECT id, {', '.join(_COLUMNS)} FROM versions{tail}"  # noqa: S608
        found = self._db.execute(sql, values).fetchall()
        return [self._row(item) for item in found]

    def _row(self, item: tuple[Any, ...]) -> Row:
        number, *values = item
        fields = dict(zip(_COLUMNS, values, strict=True))
        fields["validated"] = bool(fields["validated"])
        particles = self._db.execute(
            "SELECT pdg FROM particles WHERE version_id = ? ORDER BY pdg DESC", (number,)
        )
        aliases = self._db.execute(
            "SELECT alias FROM aliases WHERE store = ? AND name = ? AND version = ? ORDER BY alias",
            (fields["store"], fields["name"], fields["version"]),
        )
        return Row(
            **fields,
            particles=tuple(r[0] for r in particles),
            aliases=tuple(str(r[0]) for r in aliases),
        )


@contextmanager
def open_index(home: Path) -> Iterator[Index]:
    """Open (and create, if absent) the index below `home`.

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
        try:
            _prepare(connection)
            yield Index(connection)
        finally:
            connection.close()
    except sqlite3.Error as exc:
        raise StoreError(f"index {path}: {exc}", hint) from exc


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == _SCHEMA_VERSION:
        return
    if version not in (0, 1, 2):  # the tables of 1 and 2 are among those of today
        raise sqlite3.DatabaseError(f"written by another version of the catalog (schema {version})")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
    )


def _where(query: Query) -> tuple[str, tuple[Any, ...]]:
    """The WHERE clause of a search; every value is bound, none is pasted."""
    parts: list[str] = []
    values: list[Any] = []

    def add(sql: str, *bound: object) -> None:
        parts.append(sql)
        values.extend(bound)

    if query.detector in DETECTOR_TYPES:
        add("detector_type = ?", query.detector)
    elif query.detector:
        add("detector = ?", query.detector)
    if query.material:
        add(
            "id IN (SELECT version_id FROM materials WHERE lower(material) = lower(?))",
            query.material,
        )
    if query.particle is not None:
        add("id IN (SELECT version_id FROM particles WHERE pdg = ?)", query.particle)
    if query.energy_gev:  # the model must cover the whole window
        add("e_low <= ? AND e_high >= ?", *query.energy_gev)
    for column in ("task", "family", "licence"):
        if value := getattr(query, column):
            add(f"{column} = ?", value)
    if query.validated:
        add("validated = 1")
    words = re.findall(r"\w+", query.text)
    if words:
        match = " ".join(f'"{word}"*' for word in words)
        add("id IN (SELECT rowid FROM words WHERE words MATCH ?)", match)
    return (" WHERE " + " AND ".join(parts) if parts else ""), tuple(values)
