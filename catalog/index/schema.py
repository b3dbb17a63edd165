"""The tables of the index in SQLite, and how an older file becomes one of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import fields
from itertools import islice
from typing import Any

from catalog.index.protocol import Database
from catalog.index.put import put_rows
from catalog.index.row import Row

VERSION = 8
_TABLES = (
    """CREATE TABLE versions (
  id INTEGER PRIMARY KEY,
  store TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
  task TEXT, family TEXT, detector TEXT, detector_type TEXT, e_low REAL, e_high REAL,
  licence TEXT, validated INTEGER NOT NULL, parent TEXT, gone TEXT NOT NULL,
  twin INTEGER NOT NULL DEFAULT 0, words TEXT NOT NULL, place INTEGER NOT NULL,
  UNIQUE (name, version, store)
)""",
    # In the order of a search (order.py), with all that it filters by: to list or count reads no
    # row. One that began with a filter would be taken for every search, and make it sort.
    """CREATE INDEX versions_order ON versions (
  place, gone, twin, store, detector_type, detector, task, family, licence, validated, e_low, e_high
)""",
    "CREATE INDEX versions_store ON versions (store, gone)",
    "CREATE INDEX versions_gone ON versions (place) WHERE gone != ''",
    "CREATE INDEX versions_digest ON versions (digest)",
    "CREATE INDEX versions_parent ON versions (parent)",
    """CREATE TABLE texts (
  version_id INTEGER PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
  here TEXT NOT NULL, there TEXT NOT NULL, shown TEXT NOT NULL,
  summary TEXT NOT NULL, card TEXT NOT NULL, told TEXT NOT NULL,
  particles TEXT NOT NULL, materials TEXT NOT NULL
)""",
    """CREATE TABLE particles (
  version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE, pdg INTEGER NOT NULL,
  PRIMARY KEY (version_id, pdg)
) WITHOUT ROWID""",
    "CREATE INDEX particles_pdg ON particles (pdg)",
    """CREATE TABLE materials (
  version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE, material TEXT NOT NULL,
  PRIMARY KEY (version_id, material)
) WITHOUT ROWID""",
    "CREATE INDEX materials_material ON materials (material)",
    """CREATE TABLE vectors (
  version_id INTEGER PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE, vector BLOB NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS aliases (
  store TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL,
  PRIMARY KEY (store, name, alias)
) WITHOUT ROWID""",
    "CREATE INDEX aliases_name ON aliases (name)",
    """CREATE TABLE IF NOT EXISTS syncs (
  store TEXT PRIMARY KEY, token TEXT NOT NULL, date TEXT NOT NULL,
  address TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID""",
    # Every word that ever came, so that a beginning is looked up as the words that it fits.
    "CREATE TABLE vocabulary (word TEXT PRIMARY KEY) WITHOUT ROWID",
    # The words are cut already (words.py); `ascii` leaves them whole. Only `versions` keeps them.
    """CREATE VIRTUAL TABLE found USING fts5 (
  words, content='versions', content_rowid='place', tokenize="ascii tokenchars '_'",
  detail='none', columnsize=0
)""",
    """CREATE TRIGGER words_come AFTER INSERT ON versions BEGIN
  INSERT INTO found (rowid, words) VALUES (new.place, new.words);
END""",
    """CREATE TRIGGER words_go AFTER DELETE ON versions BEGIN
  INSERT INTO found (found, rowid, words) VALUES ('delete', old.place, old.words);
END""",
    """CREATE TRIGGER words_change AFTER UPDATE OF words, place ON versions BEGIN
  INSERT INTO found (found, rowid, words) VALUES ('delete', old.place, old.words);
  INSERT INTO found (rowid, words) VALUES (new.place, new.words);
END""",
)
_REBUILT = ("versions", "texts", "particles", "materials", "vectors", "words")


def prepare(connection: sqlite3.Connection, database: Database) -> None:
    """Create what is absent, and bring an older file up to today with its rows.

    `database` is the same file.

    Raises
    ------
    sqlite3.Error
        It is no index, or a later version of the catalog wrote it.
    """
    connection.execute("PRAGMA foreign_keys = ON")
    if _version(connection) == VERSION:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    with database.transaction():
        found = _version(connection)  # another process may have been first
        if found > VERSION:
            raise sqlite3.DatabaseError(
                f"written by a later version of the catalog (schema {found})"
            )
        if found == VERSION:
            return
        old = _put_aside(connection) if found else []
        for statement in _TABLES:
            connection.execute(statement)
        if "versions" in old:
            rows = _old_rows(connection, old)
            while batch := list(islice(rows, 1000)):
                put_rows(database, batch)
        for table in reversed(old):
            connection.execute(f"DROP TABLE old_{table}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def check(connection: sqlite3.Connection) -> None:
    """See whether a file that cannot be written is one of today.

    Raises
    ------
    sqlite3.Error
    """
    if (found := _version(connection)) != VERSION:
        other = "a later" if found > VERSION else "an earlier"
        raise sqlite3.DatabaseError(
            f"written by {other} version of the catalog (schema {found}), and it cannot be "
            "brought up to date where it cannot be written: search it once where it can"
        )


def _put_aside(connection: sqlite3.Connection) -> list[str]:
    """Rename the old tables that are built anew, not aliases and syncs; which ones there were."""
    kinds: dict[str, list[str]] = {"table": [], "index": []}
    sql = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'index') AND sql != ''"
    for kind, name in connection.execute(sql):
        kinds[kind].append(name)
    for trigger in ("words_come", "words_go", "words_change"):
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for table in ("found", "vocabulary"):  # `versions` has its words
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for index in kinds["index"]:
        connection.execute(f"DROP INDEX {index}")
    old = [table for table in _REBUILT if table in kinds["table"]]
    for table in old:
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    syncs = {row[1] for row in connection.execute("PRAGMA table_info(syncs)")}
    if syncs and "address" not in syncs:
        connection.execute("ALTER TABLE syncs ADD COLUMN address TEXT NOT NULL DEFAULT ''")
    return old


def _old_rows(connection: sqlite3.Connection, old: list[str]) -> Iterator[Row]:
    """The rows of an older file, in the order in which they came."""
    cursor = connection.execute("SELECT * FROM old_versions ORDER BY id")
    columns = [column[0] for column in cursor.description]
    today = {field.name for field in fields(Row)}

    def of(table: str, column: str, number: int, key: str = "version_id") -> list[Any]:
        if table not in old:
            return []
        sql = f"SELECT {column} FROM old_{table} WHERE {key} = ?"  # noqa: S608
        return [row[0] for row in connection.execute(sql, (number,))]

    for item in cursor:
        row = dict(zip(columns, item, strict=True))
        number, words = row["id"], row.pop("words", "").split()
        for column in ("summary", "card", "told"):
            row[column] = "".join([row.get(column, ""), *of("texts", column, number)])
        yield Row(
            **{name: value for name, value in row.items() if name in today},
            particles=tuple(of("particles", "pdg", number)),
            materials=tuple(of("materials", "material", number)),
            vector=b"".join(of("vectors", "vector", number)),
            words=" ".join([*words, *of("words", "text", number, "rowid")]),
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
