"""The server's tables in SQLite: numbered steps, each from one schema to the next.

Never change a step that was released: add one. `postgres_schema` has the same tables.
"""

from __future__ import annotations

STEPS = (
    """
CREATE TABLE tokens (
  hash TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,
  created REAL NOT NULL, expires REAL NOT NULL, revoked REAL
) WITHOUT ROWID;
CREATE TABLE owners (
  store TEXT NOT NULL, model TEXT NOT NULL, owner TEXT NOT NULL, since REAL NOT NULL,
  PRIMARY KEY (store, model)
) WITHOUT ROWID;
CREATE TABLE uploads (
  id TEXT PRIMARY KEY, caller TEXT NOT NULL, model TEXT NOT NULL, manifest TEXT NOT NULL,
  touched REAL NOT NULL, result TEXT
) WITHOUT ROWID;
CREATE TABLE files (
  digest TEXT PRIMARY KEY, path TEXT NOT NULL, size INTEGER NOT NULL,
  store TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, manifest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE jobs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, caller TEXT NOT NULL, asked TEXT NOT NULL,
  state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, alive REAL NOT NULL DEFAULT 0,
  cancel INTEGER NOT NULL DEFAULT 0, progress TEXT NOT NULL DEFAULT '', result TEXT, error TEXT,
  created REAL NOT NULL, started REAL, finished REAL
) WITHOUT ROWID;
CREATE INDEX jobs_state ON jobs (state, created);
""",
    # Whose CATALOG_HOME has the files ('': there are none), and when a job may be taken again.
    """
ALTER TABLE uploads ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN due REAL NOT NULL DEFAULT 0;
""",
)
