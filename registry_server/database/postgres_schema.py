"""The server's tables in PostgreSQL: numbered steps, each from one schema to the next.

Never change a step that was released: add one. `sqlite_schema` has the same tables but for `audit`,
which is a file there.
"""

from __future__ import annotations

CHANNEL = "catalog_tokens"
STEPS = (
    f"""
CREATE TABLE tokens (
  hash text COLLATE "C" PRIMARY KEY, name text COLLATE "C" NOT NULL, role text NOT NULL,
  created double precision NOT NULL, expires double precision NOT NULL, revoked double precision
);
CREATE FUNCTION tokens_changed() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NOTIFY {CHANNEL}; RETURN NULL; END $$;
CREATE TRIGGER tokens_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tokens
  EXECUTE FUNCTION tokens_changed();
CREATE TABLE owners (
  store text COLLATE "C" NOT NULL, model text COLLATE "C" NOT NULL, owner text NOT NULL,
  since double precision NOT NULL,
  PRIMARY KEY (store, model)
);
CREATE TABLE uploads (
  id text COLLATE "C" PRIMARY KEY, caller text NOT NULL, model text NOT NULL,
  manifest text NOT NULL, touched double precision NOT NULL, result text,
  place text NOT NULL DEFAULT ''
);
CREATE TABLE files (
  digest text COLLATE "C" PRIMARY KEY, path text NOT NULL, size bigint NOT NULL,
  store text NOT NULL, name text NOT NULL, version bigint NOT NULL, manifest text NOT NULL
);
CREATE TABLE jobs (
  id text COLLATE "C" PRIMARY KEY, kind text NOT NULL, caller text NOT NULL, asked text NOT NULL,
  state text NOT NULL, attempt integer NOT NULL DEFAULT 0,
  alive double precision NOT NULL DEFAULT 0, cancel integer NOT NULL DEFAULT 0,
  progress text NOT NULL DEFAULT '', result text, error text,
  created double precision NOT NULL, started double precision, finished double precision,
  place text NOT NULL DEFAULT '', due double precision NOT NULL DEFAULT 0
);
CREATE INDEX jobs_state ON jobs (state, created);
CREATE TABLE audit (
  id text COLLATE "C" PRIMARY KEY, moment timestamptz NOT NULL, who text NOT NULL,
  what text NOT NULL, outcome integer NOT NULL, request_id text NOT NULL, server text NOT NULL
);
CREATE INDEX audit_moment ON audit (moment);
""",
)
