"""Bring the index up to date with a store: the store is the truth, the index only a cache."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from catalog.card import CARD_FILE, MAX_CARD, Card, parse_card
from catalog.errors import BadFile, CatalogError, NotAuthorised, StoreError
from catalog.fingerprint.file import FINGERPRINT_FILE, MAX_FINGERPRINT, Kept, parse_kept
from catalog.index import Index, Row
from catalog.index.row import Key
from catalog.index.rows import foreign_row, row_of
from catalog.manifest import Manifest, copy_verified
from catalog.pull import read_manifest
from catalog.stores import Changes, Committed, Store

Say = Callable[[str], None]
Told = Callable[[int, int], None]  # done, of how many

_READERS = 8  # threads: a first sync waits for the network most of the time
_BATCH = 200  # rows per transaction: what a killed sync has read is kept


@dataclass(frozen=True)
class Synced:
    """What a sync did.

    versions : of the store that the index lists now
    read : how many were new, or had changed
    gone : how many were found to be deleted
    unread : how many the store did not give; the next sync asks for them again
    """

    store: str
    versions: int
    read: int
    gone: int
    unread: int
    complete: bool


def sync(
    store: Store, name: str, index: Index, say: Say, *, full: bool = False,
    told: Told | None = None, address: str = "",
) -> Synced:  # fmt: skip
    """Make the index list what the store holds; only what changed is read, unless `full`.

    A version without a card is listed as undocumented with what the store tells of it; one whose
    card cannot be read is reported and listed the same way. What was deleted is marked as gone and
    kept. Killed half-way, it goes on where it was.

    Parameters
    ----------
    address : where the store is, in one spelling; if its name stood for another address before,
        what was known of that one is forgotten, its token above all

    Raises
    ------
    StoreError, NotAuthorised
        The store cannot be read; its rows are as they were.
    """
    moved = address != "" and index.address(name) not in ("", address)
    before = index.before(name)  # what is published from here on is not gone
    changes = store.changes("" if full or moved else before.token)
    if moved:  # only now: a store that does not answer leaves its rows as they are
        say(f"{name} is another address than before: it is read from the beginning")
        index.forget_store(name)
        before = index.before(name)
    wanted = [it for it in changes.versions if full or _is_new(it, before.known, changes)]
    failed = _read_into(index, store, name, wanted, before.known, say, told)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    gone = index.finish(name, changes, date, told_all=not failed, address=address, before=before)
    read = len(wanted) - failed
    return Synced(name, index.count(name), read, gone, failed, changes.complete)


def _is_new(version: Committed, known: Mapping[Key, bool], changes: Changes) -> bool:
    """Whether the index has to learn it: new, changed, or not understood the last time."""
    documented = known.get(_key(version))
    if documented is None:
        return True
    return not documented if version.digest else not changes.complete


def _read_into(
    index: Index, store: Store, name: str, wanted: Sequence[Committed],
    known: Collection[Key], say: Say, told: Told | None,
) -> int:  # fmt: skip
    """Read versions and put them into the index, batch by batch; how many could not be read.

    Those stay as they were known. Raises what the store said if a whole batch fails.
    """
    failed = 0
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            rows, lost = [], []
            for row, problem in pool.map(lambda it: _read(store, name, it), batch):
                if problem:
                    say(f"{row.ref}: {problem.message}")
                if isinstance(problem, StoreError | NotAuthorised):
                    lost.append(problem)
                    if (row.name, row.version, row.digest) in known:
                        continue
                rows.append(row)
            if len(lost) == _BATCH:
                raise lost[-1]
            failed += len(lost)
            index.put(*rows)
            if told:
                told(start + len(batch), len(wanted))
    return failed


def _read(store: Store, name: str, version: Committed) -> tuple[Row, CatalogError | None]:
    """The row of one version; with a problem it is what is left without a card."""
    bare = Row(name, version.name, version.version, version.digest)
    try:
        if not version.digest:
            return foreign_row(name, version, store.foreign(version)), None
        manifest = read_manifest(store, version)
        row = row_of(name, version, fetch_card(store, version, manifest))
    except CatalogError as exc:
        return bare, exc
    except Exception as exc:  # noqa: BLE001  one card must not stop the others
        return bare, CatalogError(f"{type(exc).__name__}: {exc}")
    try:
        kept = fetch_kept(store, version, manifest)
        return (replace(row, vector=kept.vector) if kept else row), None
    except CatalogError as exc:
        return row, exc


def _key(version: Committed) -> Key:
    return version.name, version.version, version.digest


def fetch_card(store: Store, version: Committed, manifest: Manifest | None = None) -> Card:
    """The card of one version, read from the store and checked against the manifest."""
    data = fetch_file(store, version, CARD_FILE, MAX_CARD, manifest)
    return parse_card(data.decode("utf-8", "replace"), f"{version.name}@{version.version}")


def fetch_kept(store: Store, version: Committed, manifest: Manifest | None = None) -> Kept | None:
    """The fingerprint of one version; None if it keeps none.

    Raises
    ------
    BadFile
    """
    manifest = manifest or read_manifest(store, version)
    if FINGERPRINT_FILE not in (entry.path for entry in manifest.entries):
        return None
    data = fetch_file(store, version, FINGERPRINT_FILE, MAX_FINGERPRINT, manifest)
    return parse_kept(data, f"{version.name}@{version.version}: {FINGERPRINT_FILE}")


def fetch_file(
    store: Store, version: Committed, path: str, limit: int, manifest: Manifest | None = None
) -> bytes:
    """One small file of a version, read from the store and checked against the manifest.

    The manifest is read first, unless it is given.

    Raises
    ------
    BadFile
        The version has no such file, or it is larger than `limit` bytes.
    """
    manifest = manifest or read_manifest(store, version)
    entries = {entry.path: entry for entry in manifest.entries}
    entry = entries.get(path)
    if entry is None or entry.size > limit:
        raise BadFile(f"{version.name}@{version.version}: has no {path} of a sensible size")
    buffer = io.BytesIO()
    with store.open_file(version, entry) as source:
        copy_verified(source, buffer, entry)
    return buffer.getvalue()
