"""The index in one SQLite file: real columns for what is filtered, FTS5 for text.

It imports only the standard library, because `catalog search` must start at once. Cards are kept
as the JSON text that `show` prints.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from catalog.errors import StoreError
from catalog.index.query import Query
from catalog.index.schema import prepare
from catalog.index.where import where_of

if TYPE_CHECKING:
    from catalog.stores.protocol import Alias, Changes

_COLUMNS = (
    "store", "name", "version", "digest", "task", "family", "detector", "detector_type",
    "e_low", "e_high", "licence", "validated", "parent", "summary", "card", "told", "gone",
)  # fmt: skip

Key = tuple[str, int, str]  # name, version, digest: a Committed, without importing it


@dataclass(frozen=True)
class Row:
    """One version as the index knows it. `task` is None for an undocumented version.

    told : JSON of what the store tells of a version without a card (`Foreign`)
    gone : date on which it was found to be deleted in its store; "" if it is there
    aliases : read only; they are put by `Index.set_alias`, `Index.finish`, `Index.replace_store`
    vector, words : put only; a search never reads them. `Index.vectors` does; words are found
    prefix : read only; `store:` where a reference must say so
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
    told: str = ""
    gone: str = ""
    particles: tuple[int, ...] = ()
    materials: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    vector: bytes = b""
    words: str = ""
    prefix: str = ""

    @property
    def ref(self) -> str:
        """`name@version`, with the store before it where it is not the usual one."""
        return f"{self.prefix}{self.name}@{self.version}"


class Places(NamedTuple):
    """Where a version lies, and where another one has its name and number."""

    stores: tuple[str, ...]
    conflicts: tuple[tuple[str, str], ...]  # (store, digest)


class Index:
    """Search and look-up over one SQLite file. Several processes may use it at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def put(self, *rows: Row) -> None:
        """Insert or replace versions, all or none."""
        with self._transaction():
            for row in rows:
                key = (row.store, row.name, row.version)
                self._delete("store = ? AND name = ? AND version = ?", *key)
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

    def known(self, store: str, names: Collection[str] | None = None) -> dict[Key, bool]:
        """The versions of a store, of some models or of all; whether each is documented."""
        found = self._db.execute(
            "SELECT name, version, digest, card != '' FROM versions WHERE store = ?", (store,)
        )
        wanted = None if names is None else set(names)
        return {
            (str(name), int(version), str(digest)): bool(documented)
            for name, version, digest, documented in found
            if wanted is None or name in wanted
        }

    def count(self, store: str) -> int:
        """How many versions of a store are there."""
        sql = "SELECT count(*) FROM versions WHERE store = ? AND gone = ''"
        return int(self._db.execute(sql, (store,)).fetchone()[0])

    def token(self, store: str) -> tuple[str, str]:
        """(token, date) of the last sync of a store; both "" before the first."""
        sql = "SELECT token, date FROM syncs WHERE store = ?"
        found = self._db.execute(sql, (store,)).fetchone()
        return (str(found[0]), str(found[1])) if found else ("", "")

    def address(self, store: str) -> str:
        """Where a store was when its token was given; "" if that is not known."""
        sql = "SELECT address FROM syncs WHERE store = ?"
        return "".join(str(row[0]) for row in self._db.execute(sql, (store,)))

    def finish(
        self, store: str, changes: Changes, date: str, *, told_all: bool = True, address: str = ""
    ) -> int:
        """End a sync: what is gone, what came back, aliases, the token; how many are newly gone.

        Without `told_all` the token stays the old one, so that the next sync asks again. `address`
        is where the store that gave it is.
        """
        there = {(it.name, it.version) for it in changes.versions}
        names = None if changes.complete else set(changes.names)
        lost = 0
        with self._transaction():
            sql = "SELECT id, name, version, digest, gone FROM versions WHERE store = ?"
            for number, name, version, digest, gone in self._db.execute(sql, (store,)).fetchall():
                is_there = (name, version) in there
                if (names is None or name in names) and is_there == bool(gone):
                    lost += not is_there
                    mark = ("" if is_there else date, number)
                    self._db.execute("UPDATE versions SET gone = ?, twin = 0 WHERE id = ?", mark)
                    self._mark_twins(name, digest)
            for name in [None] if names is None else sorted(names):
                sql = "DELETE FROM aliases WHERE store = ? AND (? IS NULL OR name = ?)"
                self._db.execute(sql, (store, name, name))
            for alias in changes.aliases:
                self._put_alias(store, alias)
            token = (changes.token, date) if told_all else self.token(store)
            sql = "INSERT OR REPLACE INTO syncs (store, token, date, address) VALUES (?, ?, ?, ?)"
            self._db.execute(sql, (store, *token, address))
        return lost

    def rename_store(self, old: str, new: str) -> None:
        """Give the rows of a store that was known as `old` to its name of today."""
        if not self.token(old)[0] and not self.known(old):
            return
        with self._transaction():
            self._forget(new)  # what was known under that name is older, or of another store
            for table in ("versions", "aliases", "syncs"):
                self._db.execute(f"UPDATE {table} SET store = ? WHERE store = ?", (new, old))  # noqa: S608

    def forget_store(self, store: str) -> None:
        """Drop what is known of a store: its name may mean another one next time."""
        with self._transaction():
            self._forget(store)

    def search(self, query: Query, prefer: str = "") -> tuple[int, list[Row]]:
        """(number of matches, the first `query.limit` of them) in a stable order.

        A version that lies in several stores counts once, as that of the store `prefer` if it lies
        there; `ref` names the store of every other one.
        """
        where, values = where_of(query)
        total = int(self._db.execute(f"SELECT count(*) FROM versions{where}", values).fetchone()[0])  # noqa: S608
        rows = self._rows(f"{where} ORDER BY name, version, store LIMIT ?", (*values, query.limit))
        if not prefer:
            return total, rows
        if not (query.store or query.gone):
            rows = [self._preferred(row, prefer) for row in rows]
        return total, [_prefixed(row, prefer) for row in rows]

    def places(self, row: Row) -> Places:
        """The stores that hold this version now, and those with another under its number."""
        # Two questions that an index answers each: a model may have thousands of versions. The plus
        # keeps the second one off the index of names.
        sql = (
            "SELECT store, digest FROM versions WHERE name = ?1 AND version = ?2 AND gone = '' "
            "UNION SELECT store, digest FROM versions "
            "WHERE digest = ?3 AND digest != '' AND +name = ?1 AND gone = '' ORDER BY store"
        )
        found = self._db.execute(sql, (row.name, row.version, row.digest)).fetchall()
        same = {store for store, digest in found if digest and digest == row.digest}
        others = [(s, d) for s, d in found if d != row.digest and s != row.store]
        return Places(tuple(sorted(same)) or (row.store,), tuple(others))

    def lookup(
        self, name: str, *, store: str | None, version: int | None, digest: str | None
    ) -> list[Row]:
        """Versions of one model: those that are there first, then documented ones, then the newest.

        `digest` may be cut.
        """
        parts, values = ["name = ?"], [name]
        for column, value in (("store = ?", store), ("version = ?", version)):
            if value is not None:
                parts.append(column)
                values.append(str(value))
        if digest is not None:
            parts.append("substr(digest, 1, ?) = ?")
            values += [str(len(digest)), digest]
        return self._rows(
            f" WHERE {' AND '.join(parts)} ORDER BY gone != '', card = '', version DESC",
            tuple(values),
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

    def _forget(self, store: str) -> None:
        self._delete("store = ?", store)
        for table in ("aliases", "syncs"):
            self._db.execute(f"DELETE FROM {table} WHERE store = ?", (store,))  # noqa: S608

    def _delete(self, where: str, *values: object) -> None:
        sql = f"SELECT id, name, digest FROM versions WHERE {where}"  # noqa: S608
        for number, name, digest in self._db.execute(sql, values).fetchall():
            self._db.execute("DELETE FROM words WHERE rowid = ?", (number,))
            self._db.execute("DELETE FROM versions WHERE id = ?", (number,))
            self._mark_twins(name, digest)

    def _mark_twins(self, name: str, digest: str) -> None:
        """Of the places where one version lies now, all but the first are twins."""
        if digest:
            self._db.execute(
                "UPDATE versions SET twin = id != (SELECT min(id) FROM versions WHERE digest = ?1 "
                "AND name = ?2 AND gone = '') WHERE digest = ?1 AND name = ?2 AND gone = ''",
                (digest, name),
            )

    def _preferred(self, row: Row, store: str) -> Row:
        """The same version in another store, if it lies there."""
        if row.store == store or not row.digest:
            return row
        tail = " WHERE store = ? AND name = ? AND digest = ? AND gone = '' LIMIT 1"
        return next(iter(self._rows(tail, (store, row.name, row.digest))), row)

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
        self._mark_twins(row.name, row.digest)
        words = [row.name, row.summary, row.task, row.family, row.detector, row.detector_type]
        words.append(row.words)
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
            prepare(connection)
            yield Index(connection)
        finally:
            connection.close()
    except sqlite3.Error as exc:
        raise StoreError(f"index {path}: {exc}", hint) from exc


def _prefixed(row: Row, usual: str) -> Row:
    """A row whose reference says where it is, if that is not the usual store and has a name."""
    return row if row.store == usual or ":" in row.store else replace(row, prefix=f"{row.store}:")
