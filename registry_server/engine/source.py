"""Where the engine's models come from: the catalog, or a dictionary."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from catalog.errors import NotFound
from catalog.settings import Settings


class Servable(Protocol):
    """One version on this machine's disk, verified: what `catalog.pull` returns."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def folder(self) -> Path: ...  # noqa: D102


@dataclass(frozen=True)
class Found:
    """What a reference means now. `store` is "" for the usual one."""

    name: str
    version: int
    digest: str
    store: str = ""

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


class Source(Protocol):
    """What the engine asks of a catalog. Called in threads, several at once."""

    def find(self, ref: str) -> Found:
        """What a reference means now: quick, because aliases are asked for again and again.

        Raises
        ------
        CatalogError
        """
        ...

    def fetch(self, found: Found) -> Servable:
        """Bring a version to this machine's disk and verify it.

        Raises
        ------
        CatalogError
        """
        ...

    def listing(self, name: str | None = None) -> list[Found]:
        """Every version that can be fetched, of one model or of all."""
        ...

    def mark(self) -> object:
        """Something that changes whenever an answer of `find` may have changed."""
        ...


@dataclass
class CatalogSource:
    """The catalog's index and store. An alias means what the index says: no store is asked."""

    settings: Settings

    def find(self, ref: str) -> Found:
        """What a reference means; the store is asked for an alias that the index lacks."""
        from catalog.index import open_index
        from catalog.pull import resolve
        from catalog.refs import parse_ref

        wanted = parse_ref(ref)
        store = wanted.store or self.settings.store
        with open_index(self.settings) as index:
            if wanted.alias:
                rows = index.lookup(wanted.name, store=store, version=None, digest=None)
                for row in rows:
                    if wanted.alias in row.aliases and not row.gone:
                        return Found(row.name, row.version, row.digest, wanted.store or "")
            it = resolve(ref, index, self.settings.store)
        if not it.digest:
            raise NotFound(
                f"{it.name}@{it.version} was registered by other means: nothing verifies it",
                "give it a card: catalog annotate",
            )
        return Found(it.name, it.version, it.digest, wanted.store or "")

    def fetch(self, found: Found) -> Servable:
        """Pull a version into the cache."""
        from catalog.pull import fetch
        from catalog.stores import Committed

        where = replace(self.settings, store=found.store or self.settings.store)
        return fetch(Committed(found.name, found.version, found.digest), where)

    def listing(self, name: str | None = None) -> list[Found]:
        """Every version of the usual store that has a manifest."""
        from catalog.index import open_index

        with open_index(self.settings) as index:
            known = index.known(self.settings.store, None if name is None else [name])
        return [Found(*key) for key in sorted(known) if key[2]]

    def mark(self) -> object:
        """When the file of the index was last written to; PostgreSQL does not say."""
        if self.settings.index:
            return object()  # like no other: look each time
        files = [self.settings.home / f"index.db{end}" for end in ("", "-wal")]
        return [(it.stat().st_mtime_ns, it.stat().st_size) for it in files if it.exists()]


@dataclass
class MemorySource:
    """Versions already on disk, and aliases that may be moved; for tests and notebooks."""

    versions: Collection[Servable]
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)

    def find(self, ref: str) -> Found:
        """What a reference means."""
        name, _, version = ref.partition("@")
        number = self.aliases.get((name, version))
        if number is None and version.isdigit():
            number = int(version)
        found = self.listing(name)
        if version:
            found = [it for it in found if it.version == number]
        if not found:
            raise NotFound(f"no model {ref!r}")
        return max(found, key=lambda it: it.version)

    def fetch(self, found: Found) -> Servable:
        """The version that has this digest."""
        return next(
            it for it in self.versions if (it.name, it.digest) == (found.name, found.digest)
        )

    def listing(self, name: str | None = None) -> list[Found]:
        """Every version."""
        found = [Found(it.name, it.version, it.digest) for it in self.versions]
        return [it for it in found if name in (None, it.name)]

    def mark(self) -> object:
        """The aliases themselves."""
        return dict(self.aliases), len(self.versions)
