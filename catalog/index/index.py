"""Search and look-up, the same over every database.

It imports only the standard library, because `catalog search` must start at once. Cards are kept
as the JSON text that `show` prints. `versions` holds what is filtered; what is only shown is in
`texts`, so that a search reads little.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from catalog.index.page import Page, read_page
from catalog.index.present import as_json
from catalog.index.protocol import Database
from catalog.index.put import forget, mark_twins, put_rows, whole_rows
from catalog.index.query import Query
from catalog.index.row import Before, Key, Places, Row
from catalog.index.sql import JOINED, SHOWN, asked, chunks, marks, plain, read_row
from catalog.index.where import hits_of
from catalog.refs import prefix_of

if TYPE_CHECKING:
    from catalog.index.facets import Facets
    from catalog.stores.protocol import Alias, Changes

_IN_ORDER = "ORDER BY name, version, store"


class Index:
    """What the catalog knows of all stores. Several processes may use it at once.

    One of these serves one thread at a time.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, *rows: Row) -> None:
        """Insert or replace versions, all or none."""
        with self._db.transaction():
            put_rows(self._db, rows)

    def set_alias(self, store: str, alias: Alias) -> None:
        """Remember what an alias of a store means now."""
        with self._db.transaction():
            self._put_aliases(store, [alias])

    def drop_alias(self, store: str, name: str, alias: str) -> None:
        """Forget an alias."""
        with self._db.transaction():
            sql = "DELETE FROM aliases WHERE store = ? AND name = ? AND alias = ?"
            self._db.run(sql, [plain((store, name, alias))])

    def before(self, store: str) -> Before:
        """What is known of a store; a sync takes it before it asks the store."""
        return Before(self.known(store), self.token(store)[0])

    def known(self, store: str, names: Collection[str] | None = None) -> dict[Key, bool]:
        """The versions of a store, of some models or of all; whether each is documented."""
        sql = f"SELECT name, version, digest, card != '' FROM {JOINED} WHERE store = ?"  # noqa: S608
        wanted = None if names is None else set(plain(names))
        return {
            (str(name), int(version), str(digest)): bool(documented)
            for name, version, digest, documented in self._ask(sql, store)
            if wanted is None or name in wanted
        }

    def count(self, store: str) -> int:
        """How many versions of a store are there."""
        sql = "SELECT count(*) FROM versions WHERE store = ? AND gone = ''"
        return int(self._ask(sql, store)[0][0])

    def token(self, store: str) -> tuple[str, str]:
        """(token, date) of the last sync of a store; both "" before the first."""
        found = self._ask("SELECT token, date FROM syncs WHERE store = ?", store)
        return (str(found[0][0]), str(found[0][1])) if found else ("", "")

    def address(self, store: str) -> str:
        """Where a store was when its token was given; "" if that is not known."""
        found = self._ask("SELECT address FROM syncs WHERE store = ?", store)
        return str(found[0][0]) if found else ""

    def finish(
        self, store: str, changes: Changes, date: str, *, told_all: bool = True, address: str = "",
        before: Before | None = None,
    ) -> int:  # fmt: skip
        """End a sync: what is gone, what came back, aliases, the token; how many are newly gone.

        Without `told_all` the token stays the old one, so that the next sync asks again. `address`
        is where the store that gave it is. Only what was known `before` can be gone: the rest was
        published while the store told its changes.
        """
        there = {plain((it.name, it.version)) for it in changes.versions}
        names = None if changes.complete else set(plain(changes.names))
        with self._db.transaction():
            sql = "SELECT id, name, version, digest, gone FROM versions WHERE store = ?"
            turned = [
                (number, name, digest, (name, version) in there)
                for number, name, version, digest, gone in self._ask(sql, store)
                if (names is None or name in names)
                and ((name, version) in there) == bool(gone)
                and (gone or before is None or (name, version, digest) in before.known)
            ]
            gone = [("" if is_there else date, number) for number, _, _, is_there in turned]
            self._db.run("UPDATE versions SET gone = ?, twin = 0 WHERE id = ?", gone)
            mark_twins(self._db, [(name, digest) for _, name, digest, _ in turned])
            sql = "DELETE FROM aliases WHERE store = ?"
            if names is None:
                self._db.run(sql, [plain((store,))])
            else:
                self._db.run(f"{sql} AND name = ?", [plain((store, it)) for it in sorted(names)])
            self._put_aliases(store, changes.aliases)
            token = (changes.token, date) if told_all else self.token(store)
            if before is not None and self.token(store)[0] != before.token:
                # Another sync ended meanwhile. Whose answer is the older nobody can tell.
                token = ("", date)
            self._put_token(store, *token, address)
        return sum(not is_there for *_, is_there in turned)

    def _put_token(self, store: str, token: str, date: str, address: str) -> None:
        sql = (
            "INSERT INTO syncs (store, token, date, address) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (store) DO UPDATE SET "
            "token = excluded.token, date = excluded.date, address = excluded.address"
        )
        self._db.run(sql, [plain((store, token, date, address))])

    def rename_store(self, old: str, new: str) -> None:
        """Give the rows of a store that was known as `old` to its name of today."""
        if not self.token(old)[0] and not self.known(old):
            return
        with self._db.transaction():
            forget(self._db, new)  # what was known under that name is older, or of another store
            rows = [replace(it, store=new) for it in whole_rows(self._db, "AND store = ?", old)]
            put_rows(self._db, rows)
            for table in ("aliases", "syncs"):
                sql = f"UPDATE {table} SET store = ? WHERE store = ?"  # noqa: S608
                self._db.run(sql, [plain((new, old))])
            forget(self._db, old)

    def forget_store(self, store: str) -> None:
        """Drop what is known of a store: its name may mean another one next time."""
        with self._db.transaction():
            forget(self._db, store)

    def search(self, query: Query, prefer: str = "") -> tuple[int, list[Row]]:
        """(number of matches, `query.limit` of them after `query.skip`) in a stable order.

        A number above `query.counted` says that there are more. A version that lies in several
        stores counts once, as that of the store `prefer` if it lies there; `ref` names the store
        of every other one.
        """
        hits, values = hits_of(query, self._db)
        found = self._ask(
            f"WITH hits AS ({hits}), page AS (SELECT id AS shown, place AS at FROM hits "  # noqa: S608
            "ORDER BY place LIMIT ? OFFSET ?) "
            f"SELECT (SELECT count(*) FROM hits), {', '.join(SHOWN)} FROM page "
            "JOIN versions ON versions.id = page.shown JOIN texts ON texts.version_id = versions.id"
            " ORDER BY at",
            *values, query.limit, query.skip,
        )  # fmt: skip
        rows = self._with_aliases([read_row(item) for _, *item in found])
        total = int(found[0][0]) if found else 0
        if not found and query.skip:  # behind the last one
            total = int(self._ask(f"SELECT count(*) FROM ({hits}) AS hits", *values)[0][0])  # noqa: S608
        return total, self._as_of(rows, query, prefer)

    def page(self, query: Query, prefer: str) -> Page:
        """The same search for a server: each model as the JSON text that it sends."""
        return read_page(self._db, query, prefer, lambda ids: self._told(ids, query, prefer))

    def facets(self, query: Query, technology: str = "") -> Facets:
        """How many versions each filter of a search would leave."""
        from catalog.index.facets import count_facets

        return count_facets(self._db, query, technology)

    def of_technology(self, query: Query, technology: str) -> Query:
        """The query for models of detectors of one technology; "" asks for any."""
        from catalog.index.facets import with_technology

        return with_technology(query, technology, self.technologies() if technology else {})

    def technologies(self) -> dict[str, str]:
        """{detector: technology}, where it is known."""
        from catalog.index.facets import technologies

        return technologies(self._db)

    def places(self, row: Row) -> Places:
        """The stores that hold this version now, and those with another under its number."""
        return self.all_places([row])[0]

    def all_places(self, rows: Sequence[Row]) -> list[Places]:
        """The places of many versions at once."""
        # Two questions that an index answers each: a model may have thousands of versions.
        lying: dict[object, set[tuple[str, str]]] = {}
        columns = "versions.name, versions.version, digest, store"
        for chunk in chunks([row for row in rows if row.digest]):
            where = f"WHERE gone = '' AND digest IN ({marks(len(chunk))})"
            sql = f"SELECT {columns} FROM versions {where}"  # noqa: S608
            for name, _, digest, store in self._ask(sql, *(row.digest for row in chunk)):
                lying.setdefault((name, digest), set()).add((store, digest))
        for chunk in chunks(rows):
            sql = asked(("name", "version"), len(chunk), columns, "gone = ''")
            keys = [value for row in chunk for value in (row.name, row.version)]
            for name, version, digest, store in self._ask(sql, *keys):
                lying.setdefault((name, int(version)), set()).add((store, digest))
        return [
            _places(row, lying.get((row.name, row.digest), set())
                    | lying.get((row.name, row.version), set()))
            for row in rows
        ]  # fmt: skip

    def lookup(
        self, name: str, *, store: str | None, version: int | None, digest: str | None
    ) -> list[Row]:
        """Versions of one model: those that are there first, then documented ones, then the newest.

        `digest` may be cut.
        """
        parts: list[str] = ["name = ?"]
        values: list[object] = [name]
        for column, value in (("store = ?", store), ("version = ?", version)):
            if value is not None:
                parts.append(column)
                values.append(value)
        if digest is not None:
            parts.append("substr(digest, 1, ?) = ?")
            values += [len(digest), digest]
        where = f"WHERE {' AND '.join(parts)}"
        return self._rows(f"{where} ORDER BY gone != '', card = '', version DESC, store", *values)

    def by_digest(self, digest: str) -> list[Row]:
        """Every place where one version lies."""
        return self._rows("WHERE digest = ? ORDER BY store, name, version", digest)

    def children(self, digest: str) -> list[Row]:
        """Versions adapted from one version."""
        return self._rows(f"WHERE parent = ? {_IN_ORDER}", digest)

    def vectors(self) -> dict[str, bytes]:
        """Short vectors of all fingerprints (`catalog.fingerprint.stack`) by digest of version."""
        sql = "SELECT digest, vector FROM vectors JOIN versions ON versions.id = version_id"
        return {str(digest): bytes(vector) for digest, vector in self._ask(sql)}

    def names(self) -> list[str]:
        """Names of all models."""
        return [str(row[0]) for row in self._ask("SELECT DISTINCT name FROM versions")]

    def _ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.ask(sql, plain(values))

    def _put_aliases(self, store: str, aliases: Iterable[Alias]) -> None:
        sql = (
            "INSERT INTO aliases (store, name, alias, version) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (store, name, alias) DO UPDATE SET version = excluded.version"
        )
        self._db.run(sql, [plain((store, it.name, it.alias, it.version)) for it in aliases])

    def _preferred(self, rows: list[Row], store: str) -> list[Row]:
        """The same versions, as those of `store` where they lie there too."""
        here: dict[tuple[str, str], Row] = {}
        for chunk in chunks([row for row in rows if row.store != store and row.digest]):
            # Only by digest: told of the store, SQLite would read all that lies there.
            where = f"WHERE digest IN ({marks(len(chunk))}) ORDER BY version DESC"
            found = self._rows(where, *(row.digest for row in chunk))
            here |= {(it.name, it.digest): it for it in found if it.store == store and not it.gone}
        return [here.get((row.name, row.digest), row) for row in rows]

    def _as_of(self, rows: list[Row], query: Query, prefer: str) -> list[Row]:
        """The rows as one sees them whose usual store is `prefer`."""
        if prefer and not (query.store or query.gone):
            rows = self._preferred(rows, prefer)
        return [_prefixed(row, prefer) for row in rows] if prefer else rows

    def _told(self, ids: Sequence[int], query: Query, prefer: str) -> dict[int, str]:
        """The JSON of versions that are not told by their parts alone."""
        rows: dict[int, Row] = {}
        for chunk in chunks(ids):
            sql = f"SELECT id, {', '.join(SHOWN)} FROM {JOINED} WHERE id IN ({marks(len(chunk))})"  # noqa: S608
            rows |= {int(number): read_row(item) for number, *item in self._ask(sql, *chunk)}
        seen = self._as_of(self._with_aliases(list(rows.values())), query, prefer)
        told = (as_json(*it) for it in zip(seen, self.all_places(seen), strict=True))
        return dict(zip(rows, told, strict=True))

    def _rows(self, tail: str, *values: object) -> list[Row]:
        sql = f"SELECT {', '.join(SHOWN)} FROM {JOINED} {tail}"  # noqa: S608
        return self._with_aliases([read_row(item) for item in self._ask(sql, *values)])

    def _with_aliases(self, rows: list[Row]) -> list[Row]:
        aliases: dict[tuple[str, str, int], list[str]] = {}
        for names in chunks(sorted({row.name for row in rows})):
            sql = (
                "SELECT store, name, version, alias FROM aliases "  # noqa: S608
                f"WHERE name IN ({marks(len(names))}) ORDER BY alias"
            )
            for place, name, version, alias in self._ask(sql, *names):
                aliases.setdefault((place, name, version), []).append(alias)
        if not aliases:
            return rows
        keys = [(row.store, row.name, row.version) for row in rows]
        return [
            replace(row, aliases=tuple(aliases.get(key, ())))
            for row, key in zip(rows, keys, strict=True)
        ]


def _places(row: Row, found: set[tuple[str, str]]) -> Places:
    same = {store for store, digest in found if digest and digest == row.digest}
    others = sorted((s, d) for s, d in found if d != row.digest and s != row.store)
    return Places(tuple(sorted(same)) or (row.store,), tuple(others))


def _prefixed(row: Row, usual: str) -> Row:
    """A row whose reference can be typed: with its store before it where that is needed."""
    return replace(row, prefix=prefix_of(row.store, usual, row.name))
