"""The seam to every model store.

A version is visible exactly when it is committed. Blobs are uploaded under the digest of the
manifest they belong to, a place no reader looks; `commit` is one step and is idempotent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from catalog.manifest import Entry, Manifest


@dataclass(frozen=True)
class Committed:
    """One visible version of a store.

    `digest` is "" for a version that somebody put there by other means: it has no manifest.
    """

    name: str
    version: int
    digest: str


@dataclass(frozen=True)
class Alias:
    """One name for one version of a model. The text comes from the store: anybody may set it."""

    name: str
    alias: str
    version: int


class Store(Protocol):
    """Eight methods; the conformance suite in tests/conformance says what they promise."""

    def versions(self, name: str | None = None) -> Iterator[Committed]:
        """Every visible version, of one model or of all, by name and number."""
        ...

    def manifest(self, version: Committed) -> bytes:
        """The manifest's bytes as they were committed, at most MAX_MANIFEST + 1 of them.

        Raises
        ------
        NotFound
            No such version, or one without a manifest.
        """
        ...

    def open_file(self, version: Committed, entry: Entry) -> AbstractContextManager[BinaryIO]:
        """Open one file of a visible version for reading; NotFound at the latest on entering."""
        ...

    def missing(self, name: str, manifest: Manifest) -> list[Entry]:
        """The files that still have to be uploaded before `commit`; a killed upload resumes.

        Files that a committed version lost are among them, and damaged ones wherever looking
        costs no download; uploading them again repairs it.
        """
        ...

    def upload(self, name: str, manifest: Manifest, entry: Entry, source: BinaryIO) -> None:
        """Upload one file to where no reader looks. May be repeated."""
        ...

    def commit(
        self, name: str, manifest: Manifest, summary: str, tags: dict[str, str]
    ) -> Committed:
        """Make the version visible, in one step, with the next number.

        The same manifest committed again under the same name returns the first version.
        `summary` and `tags` (strings) are for people who look with the store's own tools.

        Raises
        ------
        StoreError
            Files are missing, or the store failed; nothing is visible then.
        """
        ...

    def aliases(self, name: str | None = None) -> Iterator[Alias]:
        """Every alias, of one model or of all, by model and alias; none for an unknown model."""
        ...

    def point(self, name: str, alias: str, version: int | None) -> None:
        """Make an alias mean a version, in one step, whatever it meant before; None removes it.

        Of two at once the last one wins; no reader ever sees none.

        Raises
        ------
        NotFound
            No such version, or, to remove, no such alias; nothing has changed then.
        """
        ...
