"""The tables of the index in PostgreSQL: numbered steps, each from one schema to the next.

Never change a step that was released: add one. They are run in order, in one transaction, by
whichever process comes first. Text is compared byte by byte, as SQLite does: the order of a search
must not depend on the database's locale.
"""

from __future__ import annotations

STEPS = (
    """
CREATE TABLE versions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  store text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, version bigint NOT NULL,
  digest text COLLATE "C" NOT NULL, task text COLLATE "C", family text COLLATE "C",
  detector text COLLATE "C", detector_type text COLLATE "C",
  e_low double precision, e_high double precision, licence text COLLATE "C",
  validated integer NOT NULL, parent text COLLATE "C", gone text COLLATE "C" NOT NULL,
  twin integer NOT NULL DEFAULT 0, words text NOT NULL,
  -- The words are cut already (words.py): PostgreSQL's own parser would cut them again.
  found tsvector GENERATED ALWAYS AS (array_to_tsvector(string_to_array(words, ' '))) STORED,
  UNIQUE (store, name, version)
);
CREATE INDEX versions_order ON versions (name, version, store);
-- All that a search filters by: to count what matches reads no row.
CREATE INDEX versions_search ON versions (
  gone, twin, detector_type, detector, task, family, licence, validated, e_low, e_high, store, id
);
CREATE INDEX versions_digest ON versions (digest);
CREATE INDEX versions_parent ON versions (parent);
CREATE INDEX versions_found ON versions USING gin (found);
CREATE TABLE texts (
  version_id bigint PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
  summary text NOT NULL, card text NOT NULL, told text NOT NULL,
  particles text NOT NULL, materials text NOT NULL
);
CREATE TABLE particles (
  version_id bigint NOT NULL REFERENCES versions (id) ON DELETE CASCADE, pdg bigint NOT NULL,
  PRIMARY KEY (version_id, pdg)
);
CREATE INDEX particles_pdg ON particles (pdg, version_id);
CREATE TABLE materials (
  version_id bigint NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
  material text COLLATE "C" NOT NULL,
  PRIMARY KEY (version_id, material)
);
CREATE INDEX materials_material ON materials (material, version_id);
CREATE TABLE vectors (
  version_id bigint PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE, vector bytea NOT NULL
);
CREATE TABLE aliases (
  store text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, alias text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (store, name, alias)
);
CREATE INDEX aliases_name ON aliases (name);
CREATE TABLE syncs (
  store text COLLATE "C" PRIMARY KEY, token text NOT NULL, date text NOT NULL,
  address text NOT NULL
);
""",
    # What went before is put again by `PostgresDatabase`, with its filters as words and its JSON.
    """
ALTER TABLE versions ADD COLUMN place bigint NOT NULL DEFAULT 0;
UPDATE versions SET place = it.place FROM (
  SELECT id, row_number() OVER (ORDER BY name, version, store) * 4294967296 AS place FROM versions
) AS it WHERE it.id = versions.id;
CREATE INDEX versions_place ON versions (place);
CREATE INDEX versions_gone ON versions (place) WHERE gone != '';
CREATE TABLE vocabulary (word text COLLATE "C" PRIMARY KEY);
ALTER TABLE texts ADD COLUMN here text NOT NULL DEFAULT '',
  ADD COLUMN there text NOT NULL DEFAULT '', ADD COLUMN shown text NOT NULL DEFAULT '';
""",
)
