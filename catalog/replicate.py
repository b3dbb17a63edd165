"""Replicate a version to another store: the same manifest, so the same digest, on both sides.

Bytes stream from store to store and are verified on the way; nothing is visible over there before
the one commit. Killed anywhere, it can be run again and sends only what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from catalog.aliases import assign
from catalog.card import Card
from catalog.errors import CatalogError, CheckFailed, DigestMismatch, UsageError
from catalog.index import Index
from catalog.index.rows import row_of
from catalog.manifest import Entry, Manifest
from catalog.publish import Say, tags_of
from catalog.pull import read_manifest
from catalog.signed import MAX_SIGNATURE, SIGNATURE_FILE
from catalog.signing import check_demand, check_signature, policy_of
from catalog.store_names import config_file, read_names
from catalog.stores import Committed, Store, open_named
from catalog.sync import fetch_card, fetch_file, fetch_kept
from catalog.verify import check_entry

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Side:
    """A store, and what the index calls it."""

    store: Store
    name: str


@dataclass(frozen=True)
class Replicated:
    """What was done for one version.

    there : what it is over there; the store gives the number
    sent : the files that were missing or damaged there
    new : whether it was not there before
    """

    version: Committed
    there: Committed
    sent: tuple[Entry, ...]
    new: bool


def open_sides(source: str, target: str) -> tuple[Side, Side]:
    """Two stores told by name or URI; nothing is contacted.

    Raises
    ------
    UsageError
        They are one.
    """
    names = read_names(config_file())
    if names.address_of(source) == names.address_of(target):
        raise UsageError(
            f"{source} and {target} are the same store",
            "catalog replicate REF --from STORE --to ANOTHER    (catalog stores lists them)",
        )
    return Side(open_named(source, names), source), Side(open_named(target, names), target)


def choose(store: Store, pattern: str) -> list[Committed]:
    """Versions of a store whose model's name fits a pattern like `vae-*`; those with a manifest.

    By number, so that a new model over there gets the same numbers where none was deleted.
    """
    return [it for it in store.versions() if it.digest and fnmatchcase(it.name, pattern)]


def find_there(target: Store, version: Committed) -> Committed | None:
    """The version of another store with this name and this digest."""
    found = (it for it in target.versions(version.name) if it.digest == version.digest)
    return next(found, None)


def replicate(
    version: Committed, source: Side, target: Side, index: Index, say: Say, tell: Tell,
    *, mend: bool = False,
) -> Replicated:  # fmt: skip
    """Make a version of one store be in another.

    If its digest is there, no byte is read; with `mend` its files over there are read, and those
    that are damaged are sent again.

    Parameters
    ----------
    tell : called with (bytes sent, bytes to send)

    Raises
    ------
    CheckFailed
        It was registered by other means: without a manifest there is no digest to keep.
    DigestMismatch
        The source's copy is damaged; nothing becomes visible.
    BadSignature
        One of the stores requires a signature that the version does not have; nothing is sent.
    StoreError, NotAuthorised
    """
    ref = f"{version.name}@{version.version}"
    if not version.digest:
        shown = ref if ":" in source.name else f"{source.name}:{ref}"
        raise CheckFailed(
            f"{ref} of {source.name}",
            ["it was registered by other means: it has no manifest to keep"],
            f"give it a card first: catalog annotate {shown} CARD.yaml",
        )
    there = find_there(target.store, version)
    if there and not mend:
        return Replicated(version, there, (), False)
    manifest = read_manifest(source.store, version)
    check_rules(version, manifest, source, target)
    card = fetch_card(source.store, version, manifest)
    kept = fetch_kept(source.store, version, manifest)
    if there is None:
        wanted = target.store.missing(version.name, manifest)
    else:
        wanted = [it for it in manifest.entries if check_entry(target.store, there, it)]
    _send(version, manifest, wanted, source, target, tell)
    done = target.store.commit(version.name, manifest, card.summary, tags_of(card))
    index.put(row_of(target.name, done, card, kept))
    _tell_parent(ref, card, target, index, say)
    return Replicated(version, done, tuple(wanted), there is None)


def check_rules(version: Committed, manifest: Manifest, source: Side, target: Side) -> None:
    """Hold a version to the rules on signatures of the store it comes from, and goes to.

    Raises
    ------
    BadSignature
    """
    for side in (source, target):
        required, key = policy_of(side.name)
        if not required:
            continue
        signed = any(entry.path == SIGNATURE_FILE for entry in manifest.entries)
        key = check_demand(f"{version.name}@{version.version}", side.name, key, signed)
        data = fetch_file(source.store, version, SIGNATURE_FILE, MAX_SIGNATURE, manifest)
        check_signature(data, manifest, key)


def _send(
    version: Committed, manifest: Manifest, wanted: list[Entry], source: Side, target: Side,
    tell: Tell,
) -> None:  # fmt: skip
    total, done = sum(entry.size for entry in wanted), 0
    for entry in wanted:
        try:
            with source.store.open_file(version, entry) as stream:
                target.store.upload(version.name, manifest, entry, stream)
        except DigestMismatch as exc:
            raise DigestMismatch(
                f"{version.name}@{version.version} in {source.name}: {exc.message}",
                "that copy is damaged: catalog verify says which stores hold a sound one",
            ) from exc
        done += entry.size
        tell(done, total)


def _tell_parent(ref: str, card: Card, target: Side, index: Index, say: Say) -> None:
    """Lineage is a digest, which stays true; say when it leads nowhere over there."""
    if card.lineage is None:
        return
    if all(row.store != target.name for row in index.by_digest(card.lineage.parent)):
        parent = card.lineage.parent_ref
        say(f"{ref}: its parent {parent} is not in {target.name}, as far as the index knows")


def copy_aliases(
    done: Replicated, source: Side, target: Side, index: Index, protected: Collection[str], say: Say
) -> list[str]:
    """Give a replicated version the aliases that it has in its source; returns those given.

    A protected alias must be earned over there as here; one that is not is reported and left out.
    """
    given = []
    for alias in source.store.aliases(done.version.name):
        if alias.version != done.version.version:
            continue
        try:
            assign(done.there, alias.alias, target.store, target.name, index, protected)
            given.append(alias.alias)
        except CatalogError as exc:
            say(f"{alias.alias} is not set in {target.name}: {exc.message}")
    return given
