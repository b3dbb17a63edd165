"""The OCI store: the verbs of `catalog.stores.protocol` in terms of the Data Science service's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from catalog.card import CARD_FILE
from catalog.errors import BadFile, NotFound, StoreError
from catalog.manifest import MANIFEST_FILE, MAX_MANIFEST, Entry, Manifest, check_path
from catalog.stores.adoption import check_adoption
from catalog.stores.protocol import Alias, Changes, Committed, Foreign
from catalog_oci import _artifact, _large, _metadata
from catalog_oci._changes import changes_since
from catalog_oci._client import Clients, connect
from catalog_oci._edge import ChangedError, Edge
from catalog_oci._ledger import pause, read_aliases
from catalog_oci._place import Place, parse_place
from catalog_oci._publish import Draft, Publisher
from catalog_oci._rows import ADOPTED, DIGEST, VERSION, Row, list_rows
from catalog_oci._spool import Spool

_MAX_FILES = 10_000
_ATTEMPTS = 20


def open_store(uri: str) -> OciStore:
    """Open the catalog that `uri` names; nothing is contacted before it is used."""
    from catalog.settings import load_settings

    return OciStore(parse_place(uri), load_settings().cache / "oci-spool")


class OciStore:
    """Versions in a project of OCI Data Science. Safe for threads, and for processes at once."""

    def __init__(self, place: Place, spool: Path) -> None:
        self._place = place
        self._spool_root = spool
        self._edge = Edge(place.label)
        self._tails = _artifact.Tails()
        self._rows: dict[Committed, Row] = {}

    @property
    def address(self) -> str:
        """Where the service answers."""
        return str(self._clients.science.base_client.endpoint)

    def versions(self, name: str | None = None) -> Iterator[Committed]:
        """Every visible version, by name and number; what others put there has no digest."""
        return iter([row.version for row in self._list(name)])

    def manifest(self, version: Committed) -> bytes:
        """The manifest's bytes as committed."""
        row = self._find(version)
        if not row.digest:
            raise NotFound(
                f"{version.name}@{version.version} was put there by other means: it has no manifest"
            )
        if row.adopted:
            return _metadata.adopted(self._model(row).data, "manifest")
        with _artifact.open_member(self._remote(row), self._edge, MANIFEST_FILE) as file:
            return file.read(MAX_MANIFEST + 1)

    def open_file(self, version: Committed, entry: Entry) -> AbstractContextManager[BinaryIO]:
        """Stream one file of a visible version out of its artifact."""
        row = self._find(version)
        if row.adopted and entry.path == CARD_FILE:
            return nullcontext(io.BytesIO(_metadata.adopted(self._model(row).data, "card")))
        return _artifact.open_member(self._remote(row), self._edge, entry.path)

    def missing(self, name: str, manifest: Manifest) -> list[Entry]:
        """The files that do not wait on this machine yet; none of a version that is complete.

        Damage in an artifact is found when it is read: the service never lets one change.
        """
        row = self._committed(name, manifest)
        return [] if row and self._complete(row) else self._spool(name, manifest).missing()

    def upload(self, name: str, manifest: Manifest, entry: Entry, source: BinaryIO) -> None:
        """Keep one file on this machine, verified, until `commit` sends all as one artifact."""
        self._spool(name, manifest).put(entry, source)

    def commit(
        self, name: str, manifest: Manifest, summary: str, tags: dict[str, str]
    ) -> Committed:
        """Send the artifact to where no reader looks, then make it a version in one step."""
        spool = self._spool(name, manifest)
        try:
            version = self._commit(name, manifest, spool, summary, tags)
        except (StoreError, OSError) as exc:
            # Perhaps somebody committed it meanwhile, and removed what waited here.
            row = self._committed(name, manifest)
            if row is None or not self._complete(row):
                if isinstance(exc, StoreError):
                    raise
                raise StoreError(
                    f"{name}: what waited to be sent is gone: {exc.strerror or exc}",
                    "publish again: it resumes",
                ) from exc
            version = row.version
        spool.remove()
        return version

    def _commit(
        self, name: str, manifest: Manifest, spool: Spool, summary: str, tags: dict[str, str]
    ) -> Committed:
        row = self._committed(name, manifest)
        if row is None:
            draft = Draft(name, manifest.digest, spool.members(), summary, tags)
            return self._publisher.publish(draft)
        if not self._complete(row):
            _artifact.send(self._clients, self._edge, row.model_id, spool.members())
        return row.version

    def aliases(self, name: str | None = None) -> Iterator[Alias]:
        """Every alias, by model and alias."""
        found = [
            Alias(str(group.name), alias, number)
            for group in self._publisher.ledgers.sets(name)
            for alias, number in sorted(read_aliases(dict(group.freeform_tags or {})).items())
        ]
        return iter(found)

    def point(self, name: str, alias: str, version: int | None) -> None:
        """Set, move or remove an alias."""
        if version is not None:
            self._find(Committed(name, version, ""))
        elif not any(it.alias == alias for it in self.aliases(name)):
            raise NotFound(f"{name} has no alias {alias!r}", f"see them: catalog alias {name}")

        def change(known: dict[str, int]) -> dict[str, int]:
            others = {key: number for key, number in known.items() if key != alias}
            return others if version is None else others | {alias: version}

        self._publisher.ledgers.change_aliases(name, change)

    def changes(self, since: str) -> Changes:
        """The models whose listing is not what it was; nothing is noticed late."""
        rows = self._list()
        return changes_since(since, self._place, rows, list(self.aliases()))

    def foreign(self, version: Committed) -> Foreign:
        """What the model's own metadata and schemas tell."""
        return _metadata.tell(self._model(self._find(version)).data)

    def files(self, version: Committed) -> list[tuple[str, int]]:
        """Every file of the artifact that a manifest could name."""
        found = {}
        members = _artifact.list_members(self._remote(self._find(version)), self._edge)
        if len(members) > _MAX_FILES:
            raise BadFile(f"{version.name}@{version.version}: more than {_MAX_FILES:,} files")
        for info in members:
            if not info.is_dir() and _nameable(info.filename):
                found[info.filename] = info.file_size
        return sorted(found.items())

    def adopt(self, version: Committed, manifest: Manifest, card: bytes) -> Committed:
        """Keep card and manifest in the model's custom metadata, and its digest with them."""
        from oci.data_science.models import UpdateModelDetails

        row = self._find(version)
        if row.digest and not row.adopted:
            raise StoreError(f"{version.name}@{version.version} was published with its card")
        check_adoption(version, manifest, card, self.files(version))
        for attempt in range(_ATTEMPTS):
            answer = self._model(row)
            tags = dict(answer.data.freeform_tags or {})
            ours = {DIGEST: manifest.digest, VERSION: str(row.number), ADOPTED: "1"}
            details = UpdateModelDetails(
                freeform_tags=tags | ours,
                custom_metadata_list=_metadata.adoption(answer.data, manifest, card),
            )
            update = self._clients.science.update_model
            try:
                self._edge.call(update, row.model_id, details, if_match=answer.headers["etag"])
            except ChangedError:
                pause(attempt)
            else:
                return Committed(version.name, row.number, manifest.digest)
        raise StoreError(f"{version.name}: somebody changes it all the time", "try again")

    def delete(self, version: Committed) -> None:
        """Delete the model and the aliases that mean it; the ledger remembers its number."""
        row = self._find(version)

        def without(known: dict[str, int]) -> dict[str, int]:
            return {alias: number for alias, number in known.items() if number != row.number}

        if any(it.version == row.number for it in self.aliases(version.name)):
            self._publisher.ledgers.change_aliases(version.name, without)
        self._edge.call(self._clients.science.delete_model, row.model_id)
        if self._place.bucket:
            key = row.digest or row.model_id
            _large.Bucket(self._place, self._clients, self._edge).remove(row.name, key)
        self._rows = {key: it for key, it in self._rows.items() if it.model_id != row.model_id}

    @cached_property
    def _clients(self) -> Clients:
        return connect(self._place, self._edge)

    @cached_property
    def _publisher(self) -> Publisher:
        return Publisher(self._place, self._clients, self._edge)

    def _list(self, name: str | None = None) -> list[Row]:
        rows = list_rows(self._clients, self._edge, self._place, name)
        found = [row for row in rows if row.visible]
        # Whoever lists will read: spare a question for each.
        self._rows |= {row.version: row for row in found}
        return found

    def _find(self, version: Committed) -> Row:
        """The model of a version; a version without a digest is looked for by its number alone."""
        known = self._rows.get(version)
        if known and known.digest:
            return known
        for row in self._list(version.name):
            if row.number == version.version and version.digest in ("", row.digest):
                return row
        raise NotFound(
            f"no version {version.name}@{version.version} in this store",
            f"catalog show {version.name}",
        )

    def _committed(self, name: str, manifest: Manifest) -> Row | None:
        return next((row for row in self._list(name) if row.digest == manifest.digest), None)

    def _complete(self, row: Row) -> bool:
        try:
            return _artifact.artifact_size(self._clients, self._edge, row.model_id)[0] > 0
        except NotFound:
            return False

    def _spool(self, name: str, manifest: Manifest) -> Spool:
        where = f"{self._place.endpoint} {self._place.compartment} {self._place.project}"
        return Spool(self._spool_root, where, name, manifest)

    def _model(self, row: Row) -> Any:
        return self._edge.call(self._clients.science.get_model, row.model_id)

    def _remote(self, row: Row) -> _artifact.Remote:
        return self._tails.get(row.model_id, lambda: self._open_remote(row))

    def _open_remote(self, row: Row) -> _artifact.Remote:
        size, _ = _artifact.artifact_size(self._clients, self._edge, row.model_id)
        if size > _large.LIMIT:
            bucket = _large.Bucket(self._place, self._clients, self._edge)
            key = row.digest or row.model_id
            if bucket.size(row.name, key) != size:
                bucket.from_catalog(row.model_id, row.name, key)
            return _artifact.open_remote(self._edge, size, bucket.fetch(row.name, key))

        def part(start: int, stop: int) -> Any:
            get, span = (
                self._clients.carrier.get_model_artifact_content,
                f"bytes={start}-{stop - 1}",
            )
            return _artifact.ranged(self._edge.call(get, row.model_id, range=span))

        return _artifact.open_remote(self._edge, size, part)


def _nameable(path: str) -> bool:
    """Whether a manifest can name this file; others, say .model-ignore, stay out of it."""
    try:
        return bool(check_path(path))
    except BadFile:
        return False
