"""The seam to every model store.

A version is visible exactly when it is committed. Blobs are uploaded under the digest of the
manifest they belong to, a place no reader looks; `commit` is one step and is idempotent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol

from catalog.manifest import Entry, Manifest

if TYPE_CHECKING:
    from catalog.domain import TensorSpec


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


@dataclass(frozen=True)
class Foreign:
    """What a store's own records tell of a version that somebody put there by other means.

    Every word of it is a stranger's. Tensors are given where the records tell them, with the name
    "" where they tell none; their roles are guesses (what goes in are features, what comes out is
    a prediction).
    """

    framework: str = ""
    description: str = ""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """What changed in a store since a token.

    token : to give next time
    versions, aliases : all that the models in `names` have now
    complete : this is all there is (a first look, or a token that the store does not understand)
    names : models whose versions and aliases are to be replaced as a whole; one that is gone is
        among them, with no versions
    """

    token: str
    versions: tuple[Committed, ...]
    complete: bool
    names: tuple[str, ...]
    aliases: tuple[Alias, ...]


class Store(Protocol):
    """Thirteen methods; the conformance suite in tests/conformance says what they promise."""

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

    def changes(self, since: str) -> Changes:
        """What changed since a token; "" asks for everything.

        A store that cannot tell returns everything, `complete`. One that notices some changes late
        says so, and which.
        """
        ...

    def foreign(self, version: Committed) -> Foreign:
        """What the store's records tell of a version without our manifest, read as data.

        Nothing of the version is loaded, unpickled or run; what cannot be read is left out.

        Raises
        ------
        NotFound
            No such version.
        """
        ...

    def files(self, version: Committed) -> list[tuple[str, int]]:
        """(path, size) of every file of a version without our manifest, by path.

        `open_file` reads each of them; an Entry without a digest will do.

        Raises
        ------
        NotFound
            No such version.
        BadFile
            More files than a version can have.
        """
        ...

    def adopt(self, version: Committed, manifest: Manifest, card: bytes) -> Committed:
        """Give a version that is not ours a card and a manifest; its own bytes stay untouched.

        Both are kept in the store's own metadata, the digest last: that is the commit. From then
        on it is a version like any other: `versions` gives the digest, `manifest` and the card
        are read from there, all other files from where they lie. Adopting again replaces the card.

        Raises
        ------
        NotFound
            No such version.
        StoreError
            It was published with a card, the manifest does not fit, or the store has no room.
        """
        ...

    def delete(self, version: Committed) -> None:
        """Make a version invisible, and the aliases that mean it.

        Its number is never given again where the store can help it.

        Raises
        ------
        NotFound
            No such version.
        """
        ...
