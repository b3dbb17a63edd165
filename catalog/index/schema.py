"""The tables of the index, and how an older file becomes one of today."""

from __future__ import annotations

import sqlite3

VERSION = 5
_TABLES = """
CREATE TABLE IF NOT EXISTS versions (
  id INTEGER PRIMARY KEY,
  store TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
  task TEXT, family TEXT, detector TEXT, detector_type TEXT, e_low REAL, e_high REAL,
  licence TEXT, validated INTEGER NOT NULL DEFAULT 0, parent TEXT, summary TEXT NOT NULL DEFAULT '',
  card TEXT NOT NULL DEFAULT '',
  told TEXT NOT NULL DEFAULT '', gone TEXT NOT NULL DEFAULT '', twin INTEGER NOT NULL DEFAULT 0,
  UNIQUE (store, name, version)
);
CREATE INDEX IF NOT EXISTS versions_detector ON versions (detector_type, detector);
CREATE INDEX IF NOT EXISTS versions_number ON versions (name, version);
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
CREATE TABLE IF NOT EXISTS syncs (
  store TEXT PRIMARY KEY, token TEXT NOT NULL, date TEXT NOT NULL,
  address TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text);
"""
# The tables of 1 and 2 are among those of 3. Columns of `versions` came with 4, of `syncs` with 5.
_LATER = (
    ("versions", "told", "TEXT NOT NULL DEFAULT ''"),
    ("versions", "gone", "TEXT NOT NULL DEFAULT ''"),
    ("versions", "twin", "INTEGER NOT NULL DEFAULT 0"),
    ("syncs", "address", "TEXT NOT NULL DEFAULT ''"),
)
_TWINS = (
    "UPDATE versions SET twin = 1 WHERE digest != '' AND EXISTS (SELECT 1 FROM versions AS other "
    "WHERE other.digest = versions.digest AND other.name = versions.name "
    "AND other.id < versions.id)"
)


def prepare(connection: sqlite3.Connection) -> None:
    """Create what is absent, and bring an older file up to today with its rows.

    Raises
    ------
    sqlite3.Error
        It is no index, or a later version of the catalog wrote it.
    """
    connection.execute("PRAGMA foreign_keys = ON")
    if _version(connection) == VERSION:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _version(connection)  # another process may have been first
        if found > VERSION:
            raise sqlite3.DatabaseError(
                f"written by a later version of the catalog (schema {found})"
            )
        if found:
            _upgrade(connection)
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection) -> None:
    """Keep every row; columns that are there already stay."""
    for table, column, kind in _LATER:
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if there and column not in there:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    connection.execute(_TWINS)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
