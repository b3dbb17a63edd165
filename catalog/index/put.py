"""Writing to the index. Every function here is called inside a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from catalog.index.order import places_of
from catalog.index.present import parts_of
from catalog.index.protocol import Database
from catalog.index.row import Row
from catalog.index.sql import FILTERED, JOINED, SHOWN, TEXTS, asked, chunks, marks, plain, read_row
from catalog.index.words import term, words_of

_WRITTEN = (*FILTERED, "words", "place")
_TEXTS = ("here", "there", "shown", *TEXTS)
_PUT = (
    f"INSERT INTO versions ({', '.join(_WRITTEN)}) VALUES ({marks(len(_WRITTEN))}) "  # noqa: S608
    "ON CONFLICT (store, name, version) DO UPDATE SET twin = 0, "
    + ", ".join(f"{column} = excluded.{column}" for column in _WRITTEN[3:-1])
)
_TABLES = {
    "texts": f"INSERT INTO texts (version_id, {', '.join(_TEXTS)}) "  # noqa: S608
    f"VALUES ({marks(len(_TEXTS) + 1)})",
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
        new = [(name, version, store) for store, name, version in keys - before.keys()]
        places = places_of(db, new)
        db.run(_PUT, [_filtered(kept[key], places.get((*key[1:], key[0]), 0)) for key in keys])
        numbers = {key: number for key, (number, _) in _found(db, keys).items()}
        placed = [(numbers[key], kept[key]) for key in keys]
        old_numbers = [number for number, _ in before.values()]
        for table, sql in _TABLES.items():
            if old_numbers:
                known = f"version_id IN ({marks(len(old_numbers))})"
                db.run(f"DELETE FROM {table} WHERE {known}", [old_numbers])  # noqa: S608
            db.run(sql, [it for number, row in placed for it in _of_table(table, number, row)])
        _learn(db, {word for key in keys for word in _words(kept[key])})
        old = [(str(key[1]), digest) for key, (_, digest) in before.items()]
        mark_twins(db, [*old, *((row.name, row.digest) for _, row in placed)])


def _learn(db: Database, words: Iterable[str]) -> None:
    for chunk in chunks(sorted(words)):
        sql = f"INSERT INTO vocabulary VALUES {marks(len(chunk), 1)} ON CONFLICT DO NOTHING"  # noqa: S608
        db.run(sql, [chunk])


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


def whole_rows(db: Database, where: str = "", *values: object) -> Iterator[Row]:
    """Rows with all that was put of them, in the order in which they came."""
    sql = (
        f"SELECT id, words, vector, {', '.join(SHOWN)} FROM {JOINED} "  # noqa: S608
        f"LEFT JOIN vectors ON vectors.version_id = id WHERE id > ? {where} ORDER BY id LIMIT 1000"
    )
    last = 0
    while found := db.ask(sql, (last, *values)):
        for _, words, vector, *shown in found:
            # Words that were cut are cut again into the same; what stands for a filter is none.
            cut = " ".join(it for it in words.split() if not it.startswith("_"))
            yield replace(read_row(shown), words=cut, vector=bytes(vector or b""))
        last = found[-1][0]


def _found(
    db: Database, keys: Sequence[tuple[object, ...]]
) -> dict[tuple[object, ...], tuple[int, str]]:
    """(id, digest) of the versions that are there, by (store, name, version)."""
    columns = "versions.store, versions.name, versions.version, id, digest"
    sql = asked(("store", "name", "version"), len(keys), columns)
    found = db.ask(sql, [value for key in keys for value in key])
    return {tuple(key): (int(number), str(digest)) for *key, number, digest in found}


def _filtered(row: Row, place: int) -> tuple[object, ...]:
    values = {column: getattr(row, column) for column in FILTERED}
    values["validated"] = int(row.validated)
    return plain((*values.values(), " ".join((*_words(row), *_terms(row))), place))


def _words(row: Row) -> list[str]:
    words = [row.name, row.summary, row.task, row.family, row.detector, row.detector_type]
    return words_of(" ".join(str(word) for word in (*words, row.words, *row.materials) if word))


def _terms(row: Row) -> list[str]:
    """What stands for the filters that a search may ask for (where.py)."""
    named: list[tuple[str, object]] = [
        (field, value)
        for field in ("detector_type", "detector", "store", "task", "family", "licence")
        if (value := getattr(row, field)) is not None
    ]
    named += [("particle", pdg) for pdg in set(row.particles)]
    named += [("material", it) for it in {it.lower() for it in row.materials}]
    named += [("validated", 1)] if row.validated else []
    return [term(field, value) for field, value in named]


def _of_table(table: str, number: int, row: Row) -> list[tuple[object, ...]]:
    """What a table holds of one version."""
    if table == "texts":
        particles = json.dumps(sorted(set(row.particles), reverse=True))
        texts = (row.summary, row.card, row.told, particles, json.dumps(row.materials))
        return [plain((number, *parts_of(row), *texts))]
    if table == "particles":
        return [(number, pdg) for pdg in set(row.particles)]
    if table == "materials":
        return [plain((number, it)) for it in {it.lower() for it in row.materials}]
    return [(number, row.vector)] if row.vector else []
