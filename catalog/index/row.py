"""One version as the index knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

Key = tuple[str, int, str]  # name, version, digest: a Committed, without importing it


@dataclass(frozen=True)
class Row:
    """One version as the index knows it. `task` is None for an undocumented version.

    told : JSON of what the store tells of a version without a card (`Foreign`)
    gone : date on which it was found to be deleted in its store; "" if it is there
    aliases : read only; they are put by `Index.set_alias` and `Index.finish`
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


@dataclass(frozen=True)
class Before:
    """What was known of a store before it was asked: versions, whether documented; the token."""

    known: Mapping[Key, bool]
    token: str
