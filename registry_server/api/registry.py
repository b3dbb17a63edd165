"""What every route of /api works with."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from starlette.requests import Request

from catalog.errors import NotFound, UsageError, cannot_write
from catalog.index import Index, Row
from catalog.index.pool import IndexPool
from catalog.refs import parse_ref
from catalog.settings import Settings
from catalog.store_names import EMBEDDED, config_file, read_names
from catalog.stores import Committed, Store, open_named
from registry_server.auth.owners import Owners
from registry_server.database import Database


@dataclass(frozen=True)
class Bounds:
    """Limits of /api. Sizes in bytes, times in seconds.

    json : a body that is no file
    version, staged : of one version, and of all uploads that are not committed yet
    uploads, jobs : that one caller may have open at once
    keep : after which an upload that nobody touches is swept, and a job that is over
    gate : that checking a version may take
    idle : without a byte of a body, after which a client is given up
    """

    json: int = 4 << 20
    version: int = 20 << 30
    staged: int = 100 << 30
    showers: int = 1 << 30
    uploads: int = 8
    jobs: int = 4
    workers: int = 1
    keep: float = 86_400.0
    gate: float = 300.0
    idle: float = 60.0


@dataclass(frozen=True)
class Registry:
    """The catalog behind the server. `open_store` is given a name, never an address."""

    settings: Settings
    database: Database
    bounds: Bounds = field(default_factory=Bounds)
    open_store: Callable[[str], Store] = open_named

    @property
    def owners(self) -> Owners:
        """Whose models these are."""
        return Owners(self.database)

    @contextmanager
    def index(self) -> Iterator[Index]:
        """The index, for one thread."""
        with self._indexes.lend() as index:
            yield index

    @cached_property
    def _indexes(self) -> IndexPool:
        return IndexPool(self.settings)

    def close(self) -> None:
        """Close what it keeps open."""
        self._indexes.close()
        self.database.close()

    def store_name(self, told: str | None) -> str:
        """A store by name; a client can name no other than those that the server knows.

        Raises
        ------
        NotFound
        """
        if told is None or told == self.settings.store:
            return self.settings.store
        known = {EMBEDDED, *read_names(config_file()).stores}
        if told not in known:
            raise NotFound(f"no store {told[:64]!r} here", "GET /api/v1/stores lists them")
        return told

    def row(self, name: str, version: str, store: str) -> Row:
        """The indexed version that a number, an alias or a digest (may be cut) means.

        Raises
        ------
        NotFound, UsageError
        """
        ref = parse_ref(f"{name}@{version}")
        if (ref.name, ref.store) != (name, None):
            raise UsageError(f"not the name of a model: {name[:100]!r}", "GET /api/v1/models")
        number = ref.version
        if ref.alias:
            here = self.open_store(store).aliases(name)
            number = next((it.version for it in here if it.alias == ref.alias), 0)
        with self.index() as index:
            rows = index.lookup(name, store=store, version=number, digest=ref.digest)
        if not rows:
            raise NotFound(
                f"{name!r} has no version {version!r} in the store {store!r}",
                "GET /api/v1/models finds what is there",
            )
        return rows[0]

    def there(self, name: str, version: str, store: str) -> Row:
        """The same, but NotFound if it was deleted in its store."""
        row = self.row(name, version, store)
        if row.gone:
            raise NotFound(f"{row.ref} was deleted in its store (noticed on {row.gone})")
        return row


def committed(row: Row) -> Committed:
    """The version of a row."""
    return Committed(row.name, row.version, row.digest)


def registry_of(request: Request) -> Registry:
    """The registry behind a request."""
    registry: Registry = request.app.state.registry
    return registry


@cache
def place_of(home: Path) -> str:
    """What tells this home from that of a server elsewhere, made once.

    Raises
    ------
    CatalogError
    """
    path = home / "place"
    made = home / f"place.{secrets.token_hex(8)}"
    try:
        if not path.exists():
            made.write_text(secrets.token_hex(16), encoding="ascii")
            try:
                os.link(made, path)  # whole, and only if nobody else was faster
            except FileExistsError:
                pass
            finally:
                made.unlink()
        return path.read_text(encoding="ascii")
    except OSError as exc:
        raise cannot_write(path, exc) from exc
