"""Writing to the index. Every function here is called inside a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from catalog.index.protocol import Database
from catalog.index.row import Row
from catalog.index.sql import FILTERED, TEXTS, asked, chunks, marks, plain
from catalog.index.words import words_of

_WRITTEN = (*FILTERED, "words")
_PUT = (
    f"INSERT INTO versions ({', '.join(_WRITTEN)}) VALUES ({marks(len(_WRITTEN))}) "  # noqa: S608
    "ON CONFLICT (store, name, version) DO UPDATE SET twin = 0, "
    + ", ".join(f"{column} = excluded.{column}" for column in _WRITTEN[3:])
)
_TABLES = {
    "texts": f"INSERT INTO texts (version_id, {', '.join(TEXTS)}) "  # noqa: S608
    f"VALUES ({marks(len(TEXTS) + 1)})",
    "particles": "INSERT INTO particles (version_id, pdg) VALUES (?, ?)",
    "materials": "INSERT INTO materials (version_id, material) VALUES (?, ?)",
    "vectors": "INSERT INTO vectors (version_id, vector) VALUES (?, ?)",
}
# Of the places where one version lies now, all but the first are twins.
_TWINS = (
    "UPDATE versions SET twin = CASE WHEN id = (SELECT min(id) FROM versions AS it "
    "WHERE it.digest = ? AND it.name = ? AND it.gone = '') THEN 0 ELSE 1 END "
    "WHERE digest = ? AND name = ? AND gone = ''"
)


def put_rows(db: Database, rows: Iterable[Row]) -> None:
    """Insert or replace versions; of two with one key the last stays."""
    kept = {plain((row.store, row.name, row.version)): row for row in rows}
    for keys in chunks(list(kept)):
        before = _found(db, keys)
        db.run(_PUT, [_filtered(kept[key]) for key in keys])
        numbers = {key: number for key, (number, _) in _found(db, keys).items()}
        placed = [(numbers[key], kept[key]) for key in keys]
        for table, sql in _TABLES.items():
            db.run(f"DELETE FROM {table} WHERE version_id = ?", [(n,) for n, _ in placed])  # noqa: S608
            db.run(sql, [it for number, row in placed for it in _of_table(table, number, row)])
        old = [(str(key[1]), digest) for key, (_, digest) in before.items()]
        mark_twins(db, [*old, *((row.name, row.digest) for _, row in placed)])


def mark_twins(db: Database, versions: Iterable[tuple[str, str]]) -> None:
    """Settle again which places of these (name, digest) count."""
    pairs = dict.fromkeys(plain((digest, name)) for name, digest in versions if digest)
    db.run(_TWINS, [(*pair, *pair) for pair in pairs])


def forget(db: Database, store: str) -> None:
    """Drop what is known of a store."""
    (name,) = plain((store,))
    sql = (
        "SELECT DISTINCT name, digest FROM versions AS it WHERE store = ? AND EXISTS (SELECT 1 "
        "FROM versions AS other WHERE other.digest = it.digest AND other.store != it.store)"
    )
    elsewhere = db.ask(sql, (name,))
    for table in ("versions", "aliases", "syncs"):
        db.run(f"DELETE FROM {table} WHERE store = ?", [(name,)])  # noqa: S608
    mark_twins(db, [(str(it), str(digest)) for it, digest in elsewhere])


def _found(
    db: Database, keys: Sequence[tuple[object, ...]]
) -> dict[tuple[object, ...], tuple[int, str]]:
    """(id, digest) of the versions that are there, by (store, name, version)."""
    columns = "versions.store, versions.name, versions.version, id, digest"
    sql = asked(("store", "name", "version"), len(keys), columns)
    found = db.ask(sql, [value for key in keys for value in key])
    return {tuple(key): (int(number), str(digest)) for *key, number, digest in found}


def _filtered(row: Row) -> tuple[object, ...]:
    words = [row.name, row.summary, row.task, row.family, row.detector, row.detector_type]
    text = " ".join(str(word) for word in (*words, row.words, *row.materials) if word)
    values = {column: getattr(row, column) for column in FILTERED}
    values["validated"] = int(row.validated)
    return plain((*values.values(), " ".join(words_of(text))))


def _of_table(table: str, number: int, row: Row) -> list[tuple[object, ...]]:
    """What a table holds of one version."""
    if table == "texts":
        particles = json.dumps(sorted(set(row.particles), reverse=True))
        texts = (row.summary, row.card, row.told, particles, json.dumps(row.materials))
        return [plain((number, *texts))]
    if table == "particles":
        return [(number, pdg) for pdg in set(row.particles)]
    if table == "materials":
        return [plain((number, it)) for it in {it.lower() for it in row.materials}]
    return [(number, row.vector)] if row.vector else []
