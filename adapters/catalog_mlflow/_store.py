"""The MLflow store: the verbs of `catalog.stores.protocol` in terms of MLflow's."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from typing import Any, BinaryIO
from urllib.parse import unquote

from catalog.address import shown
from catalog.errors import CatalogError, NotFound, StoreError
from catalog.manifest import MANIFEST_FILE, MAX_MANIFEST, Entry, Manifest
from catalog.stores.adoption import check_adoption
from catalog.stores.protocol import Alias, Changes, Committed, Foreign
from catalog.stores.secret import Secret
from catalog_mlflow import _adoption, _aliases, _changes, _registry, _staging
from catalog_mlflow._client import connect
from catalog_mlflow._edge import Edge
from catalog_mlflow._folder import BucketFolder, Folder, LocalFolder
from catalog_mlflow._foreign import tell
from catalog_mlflow._http_folder import HttpFolder, proxied_path
from catalog_mlflow._lock import tidy_lock
from catalog_mlflow._place import Place, parse_place

_SUBFOLDER = "version"
# Below the artifact folder: a run's or a logged model's files, in an experiment's folder or not.
_OWN = re.compile(
    r"/((?:[0-9]+/)?(?:[0-9a-f]{32}|models/m-[0-9a-f]{32})/artifacts(?:/[^?#\\\0]*)?)$"
)
_BUCKETS = ("s3://", "gs://", "wasbs://", "abfss://", "hdfs://", "r2://")


def open_store(uri: str, secret: Secret | None = None) -> MlflowStore:
    """Open the registry that `uri` names; nothing is contacted before it is used."""
    from catalog.settings import load_settings

    return MlflowStore(parse_place(uri, load_settings().home), secret)


class MlflowStore:
    """Versions in an MLflow registry. Safe for threads, and for processes side by side."""

    def __init__(self, place: Place, secret: Secret | None = None) -> None:
        self._place = place
        self._secret = secret
        self._edge = Edge(place.label, place.uri, secret)
        self._lock = threading.Lock()
        self._runs: dict[tuple[str, str], Any] = {}  # those being uploaded to, by name and digest
        self._located: dict[Committed, _registry.Located] = {}

    @property
    def address(self) -> str:
        """Where its server answers; "" for the embedded one."""
        return self._place.uri if self._place.artifacts is None else ""

    def versions(self, name: str | None = None) -> Iterator[Committed]:
        """Every visible version, by name and number; what others registered has no digest."""
        return iter(self._remember(_registry.list_versions(self._client, self._edge, name)))

    def manifest(self, version: Committed) -> bytes:
        """The manifest's bytes as committed."""
        if not version.digest:
            raise NotFound(
                f"{version.name}@{version.version} was registered by other means: it has no "
                "manifest"
            )
        with self._open(version, MANIFEST_FILE) as file:
            return file.read(MAX_MANIFEST + 1)

    def open_file(self, version: Committed, entry: Entry) -> AbstractContextManager[BinaryIO]:
        """Open one file of a visible version for reading."""
        return self._open(version, entry.path)

    def missing(self, name: str, manifest: Manifest) -> list[Entry]:
        """The files not uploaded yet, or that a committed version has lost since.

        Files of this machine are read again once they are committed, so that publishing again
        mends flipped bytes; a server is only asked for their sizes.
        """
        committed = self._committed(name, manifest)
        held = self._held(name, manifest, committed)
        if committed:
            damaged = self._folder(committed).damaged(held)
            held = [entry for entry in held if entry not in damaged]
        return _without(manifest, held)

    def upload(self, name: str, manifest: Manifest, entry: Entry, source: BinaryIO) -> None:
        """Upload one file to the version's run; for a committed version, repair it."""
        run = self._runs.get((name, manifest.digest))
        if run is None:
            committed = self._committed(name, manifest)
            if committed:
                self._folder(committed).put(entry, source)
                return
            run = self._start(name, manifest)
        self._run_folder(run).put(entry, source)
        _staging.mark_done(self._client, self._edge, run, entry)

    def commit(
        self, name: str, manifest: Manifest, summary: str, tags: dict[str, str]
    ) -> Committed:
        """Create the model version: the one step that makes it visible."""
        committed = self._committed(name, manifest)
        absent = _without(manifest, self._held(name, manifest, committed))
        if absent:
            raise StoreError(
                f"{name}: {absent[0].path} was never uploaded", "publish again: it resumes"
            )
        if committed:
            self._mend_manifest(committed, manifest)
            return committed
        with tidy_lock(self._place.database and self._place.database.with_suffix(".lock")):
            committed = self._committed(name, manifest)
            if committed:
                return committed
            run = self._run(name, manifest)
            if run is None:  # no files at all: a manifest of nothing
                raise StoreError(f"{name}: nothing was uploaded", "publish a folder with files")
            document = manifest.to_bytes()
            entry = Entry(MANIFEST_FILE, len(document), manifest.digest)
            self._run_folder(run).put(entry, io.BytesIO(document))
            source = f"{run.info.artifact_uri}/{_SUBFOLDER}"
            draft = _registry.Draft(name, manifest.digest, source, run.info.run_id, summary, tags)
            committed = _registry.create_version(self._client, self._edge, draft)
        with suppress(CatalogError):  # only how the run looks in `mlflow ui`
            # set_terminated would print the run's address, to the stdout that is for data
            self._edge.call(self._client.update_run, run.info.run_id, status="FINISHED")
        self._runs.pop((name, manifest.digest), None)
        return committed

    def aliases(self, name: str | None = None) -> Iterator[Alias]:
        """Every alias, by model and alias, whoever set it."""
        return iter(_aliases.list_aliases(self._client, self._edge, name))

    def point(self, name: str, alias: str, version: int | None) -> None:
        """Set, move or remove an alias."""
        if version is None:
            _aliases.remove_alias(self._client, self._edge, name, alias)
        else:
            _aliases.set_alias(self._client, self._edge, name, alias, version)

    def changes(self, since: str) -> Changes:
        """What changed; see `_changes` for what a large registry notices late."""
        found, located = _changes.changes(self._client, self._edge, since)
        self._remember(located)
        return found

    def foreign(self, version: Committed) -> Foreign:
        """What MLflow's row and the file `MLmodel` tell."""
        located = self._locate(version)
        try:
            folder = self._open_folder(located)
        except CatalogError:  # its files lie where we do not look; the row is still told
            return Foreign(description=located.description, tags=dict(located.tags))
        return tell(folder, located.description, located.tags)

    def files(self, version: Committed) -> list[tuple[str, int]]:
        """Every file of the version's artifact folder."""
        return self._folder(version).files()

    def adopt(self, version: Committed, manifest: Manifest, card: bytes) -> Committed:
        """Keep the card and the manifest in the version's tags."""
        located = _registry.locate(self._client, self._edge, version)
        if located.version.digest and not _registry.is_adopted(located):
            raise StoreError(
                f"{version.name}@{version.version} was published with its card",
                "publish it again with another card: catalog publish FOLDER",
            )
        check_adoption(version, manifest, card, self._open_folder(located).files())
        _adoption.keep(self._client, self._edge, located, manifest, card)
        self._located.pop(version, None)
        return Committed(version.name, version.version, manifest.digest)

    def delete(self, version: Committed) -> None:
        """Delete the model version; its files stay in their run, which a copy may share."""
        located = _registry.locate(self._client, self._edge, version)
        self._edge.once(
            self._client.delete_model_version, version.name, str(located.version.version)
        )
        self._located.pop(version, None)

    @cached_property
    def _client(self) -> Any:
        return connect(self._place, self._edge, self._secret)

    def _committed(self, name: str, manifest: Manifest) -> Committed | None:
        return _registry.find_version(self._client, self._edge, name, manifest.digest)

    def _held(self, name: str, manifest: Manifest, committed: Committed | None) -> list[Entry]:
        """The files that lie complete where they belong, judged by their sizes."""
        if committed:
            self._runs.pop((name, manifest.digest), None)
            folder, done = self._folder(committed), list(manifest.entries)
        else:
            run = self._run(name, manifest)
            if run is None:
                return []
            folder = self._run_folder(run)
            done = [entry for entry in manifest.entries if _staging.is_done(run, entry)]
        sizes = folder.sizes([entry.path for entry in done])
        return [entry for entry in done if sizes.get(entry.path) == entry.size]

    def _mend_manifest(self, committed: Committed, manifest: Manifest) -> None:
        """Write a committed version's manifest again if its bytes are not what they were."""
        document = manifest.to_bytes()
        with suppress(NotFound):
            if self.manifest(committed) == document:
                return
        entry = Entry(MANIFEST_FILE, len(document), manifest.digest)
        self._folder(committed).put(entry, io.BytesIO(document))

    def _start(self, name: str, manifest: Manifest) -> Any:
        with self._lock:  # threads that begin at once share one run
            run = self._run(name, manifest)
            if run is None:
                run = _staging.create_run(self._client, self._edge, name, manifest)
                self._runs[name, manifest.digest] = run
            return run

    def _run(self, name: str, manifest: Manifest) -> Any | None:
        """The run this store uploads to: once chosen it stays, whatever other processes begin."""
        key = (name, manifest.digest)
        known = self._runs.get(key)
        if known is not None:
            return self._edge.call(self._client.get_run, known.info.run_id)
        run = _staging.find_run(self._client, self._edge, name, manifest)
        if run is not None:
            self._runs[key] = run
        return run

    def _run_folder(self, run: Any) -> Folder:
        return self._open_uri(f"{run.info.artifact_uri}/{_SUBFOLDER}")

    def _remember(self, found: Sequence[_registry.Located]) -> list[Committed]:
        """Whoever lists will read: spare a question for each. A copy's source is elsewhere."""
        self._located |= {it.version: it for it in found if not it.uri.startswith("models:")}
        return [it.version for it in found]

    def _locate(self, version: Committed) -> _registry.Located:
        located = self._located.get(version)
        if located is None:
            located = _registry.locate(self._client, self._edge, version)
            self._located[version] = located
        return located

    def _folder(self, version: Committed) -> Folder:
        return self._open_folder(self._locate(version))

    def _open(self, version: Committed, path: str) -> AbstractContextManager[BinaryIO]:
        """One file of a version: from its tags if they hold it, else from where its files lie."""
        located = self._locate(version)
        if _adoption.is_kept(located.tags, version.digest, path):
            return _adoption.open_kept(located, path)
        return self._open_folder(located).open(path)

    def _open_folder(self, located: _registry.Located) -> Folder:
        return self._open_uri(located.uri)

    def _open_uri(self, uri: str) -> Folder:
        """The folder that a registry names; it may name only places of a kind we know."""
        if self._place.artifacts is not None:
            # Not the address in the database: a registry may be moved or copied as a whole.
            found = _OWN.search(unquote(uri))
            if found is None or ".." in found[1].split("/"):
                raise NotFound(f"{shown(uri)[:200]!r} is not in this registry's own folder")
            return LocalFolder(self._place.artifacts / found[1])
        path = proxied_path(self._place.uri, uri)
        if path is not None:
            return HttpFolder(self._place.uri, path, self._edge, self._secret)
        if uri.startswith(_BUCKETS):
            return BucketFolder(uri, self._edge)
        raise StoreError(
            f"{self._place.label} keeps its artifacts in its own file system",
            "ask its administrator to start it with --serve-artifacts",
        )


def _without(manifest: Manifest, held: Sequence[Entry]) -> list[Entry]:
    there = set(held)
    return [entry for entry in manifest.entries if entry not in there]
