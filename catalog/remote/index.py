"""The index of a registry: every question is asked over HTTP, and the server keeps it.

What comes back is what `catalog search --json` prints, so a Row made of it has no card; `described`
asks for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from catalog.errors import NotFound, StoreError
from catalog.index.index import Index
from catalog.index.query import Query
from catalog.index.row import Places, Row
from catalog.remote.client import Client, pages, part

if TYPE_CHECKING:
    from catalog.stores.protocol import Alias, Committed


class RemoteIndex(Index):
    """What an `Index` is asked by verbs that work through a registry."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._lying: dict[Row, Places] = {}

    @property
    def _db(self) -> NoReturn:  # type: ignore[override]
        raise StoreError("that is not to be had through a registry", "run it where the stores are")

    def put(self, *rows: Row) -> None:
        """Nothing: the server has put what it published."""

    def set_alias(self, store: str, alias: Alias) -> None:
        """Nothing: the server knows."""

    def drop_alias(self, store: str, name: str, alias: str) -> None:
        """Nothing: the server knows."""

    def search(self, query: Query, prefer: str = "") -> tuple[int, list[Row]]:
        """What `Index.search` finds at the server, which prefers its own usual store."""
        asked = {
            "q": query.text, "detector": query.detector, "material": query.material,
            "particle": query.particle, "energy": _window(query.energy_gev), "task": query.task,
            "family": query.family, "licence": query.licence, "store": query.store,
            "validated": query.validated, "gone": query.gone,
        }  # fmt: skip
        total, rows = 0, []
        for page in pages(self.client, "/models", asked, query.skip + query.limit):
            total = int(page["total"])
            rows += [self._row(it) for it in page["models"]]
        return total, rows[query.skip :]

    def all_places(self, rows: Sequence[Row]) -> list[Places]:
        """Where versions lie, as was told when they were found."""
        return [self._lying[row] for row in rows]

    def lookup(
        self, name: str, *, store: str | None, version: int | None, digest: str | None
    ) -> list[Row]:
        """Versions of one model, in the order of `Index.lookup`."""
        asked = {"name": name, "store": store, "version": version, "digest": digest}
        return self._look(asked)

    def by_digest(self, digest: str) -> list[Row]:
        """Every place where one version lies."""
        return self._look({"digest": digest})

    def names(self) -> list[str]:
        """Names of all models."""
        return [str(name) for name in self.client.json("GET", "/names")["names"]]

    def described(self, version: Committed, store: str) -> dict[str, Any]:
        """The JSON of `catalog show`."""
        path = f"/models/{part(version.name)}/versions/{version.version}"
        found: dict[str, Any] = self.client.json("GET", path, {"store": store})
        return found

    def _look(self, asked: Mapping[str, object]) -> list[Row]:
        try:
            found = self.client.json("GET", "/lookup", asked)
        except NotFound:  # no store of that name there
            return []
        return [self._row(it) for it in found["models"]]

    def _row(self, told: dict[str, Any]) -> Row:
        row = row_of(told)
        conflicts = tuple((it["store"], it["digest"]) for it in told["conflicts"])
        self._lying[row] = Places(tuple(told["stores"]), conflicts)
        return row


def row_of(told: dict[str, Any]) -> Row:
    """The row of `search --json`, without its card.

    Raises
    ------
    StoreError
        It is not of that shape.
    """
    try:
        low, high = told["energy_gev"] or (None, None)
        ref = f"{told['name']}@{told['version']}"
        return Row(
            store=str(told["store"]), name=str(told["name"]), version=int(told["version"]),
            digest=str(told["digest"]), task=told["task"], family=told["family"],
            detector=told["detector"], detector_type=told["detector_type"], e_low=low, e_high=high,
            licence=told["licence"], validated=bool(told["validated"]),
            summary=str(told["summary"]), gone=told["gone"] or "",
            particles=tuple(told["particles"]), aliases=tuple(told["aliases"]),
            prefix=str(told["ref"]).removesuffix(ref),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as exc:
        raise StoreError("the registry tells a version in another way than this client reads",
                         "is it of another version of the catalog?") from exc  # fmt: skip


def _window(energy: tuple[float, float] | None) -> str | None:
    return None if energy is None else f"{energy[0]!r}..{energy[1]!r}"
