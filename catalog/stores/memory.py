"""A store in memory: for trying things out, and for tests instead of mocks."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from catalog.card import CARD_FILE
from catalog.errors import NotFound, StoreError
from catalog.manifest import Entry, Manifest, copy_verified, hash_bytes
from catalog.stores.adoption import check_adoption
from catalog.stores.protocol import Alias, Changes, Committed, Foreign


@dataclass(frozen=True)
class _Held:
    """One version: where each path's bytes are, and what was told if somebody else put it there."""

    digest: str
    manifest: bytes
    files: Mapping[str, str]
    told: Foreign | None = None


@dataclass
class _Model:
    """Versions by number; `last` is the highest number ever given."""

    versions: dict[int, _Held] = field(default_factory=dict)
    last: int = 0

    def add(self, held: _Held) -> int:
        self.last += 1
        self.versions[self.last] = held
        return self.last


class MemoryStore:
    """Versions that live as long as the process. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._blobs: dict[str, bytes] = {}
        self._models: dict[str, _Model] = {}
        self._aliases: dict[tuple[str, str], int] = {}
        self._log: list[str] = []  # the model of every change
        self._id = uuid.uuid4().hex

    def versions(self, name: str | None = None) -> Iterator[Committed]:
        """Every committed version, by name and number."""
        with self._lock:
            found = [
                Committed(model, number, held.digest)
                for model in sorted(self._models)
                if name in (None, model)
                for number, held in sorted(self._models[model].versions.items())
            ]
        return iter(found)

    def manifest(self, version: Committed) -> bytes:
        """The manifest's bytes as committed."""
        held = self._held(version)
        if not held.digest:
            raise NotFound(f"{version.name}@{version.version} has no manifest")
        return held.manifest

    def open_file(self, version: Committed, entry: Entry) -> AbstractContextManager[BinaryIO]:
        """Open one file for reading."""
        try:
            return io.BytesIO(self._blobs[self._held(version).files[entry.path]])
        except KeyError as exc:
            raise NotFound(f"{version.name}@{version.version}: no file {entry.path}") from exc

    def missing(self, name: str, manifest: Manifest) -> list[Entry]:
        """Files not uploaded yet, or whose bytes are not what they were."""
        with self._lock:
            kept = {e: self._blobs.get(e.digest) for e in manifest.entries}
        return [e for e, data in kept.items() if data is None or hash_bytes(data) != e.digest]

    def upload(self, name: str, manifest: Manifest, entry: Entry, source: BinaryIO) -> None:
        """Keep the bytes under their digest."""
        buffer = io.BytesIO()
        copy_verified(source, buffer, entry)
        with self._lock:
            self._blobs[entry.digest] = buffer.getvalue()

    def commit(
        self, name: str, manifest: Manifest, summary: str, tags: dict[str, str]
    ) -> Committed:
        """Append the version; the same manifest gives the version it already has."""
        absent = self.missing(name, manifest)
        if absent:
            raise StoreError(f"{name}: {absent[0].path} was never uploaded")
        files = {entry.path: entry.digest for entry in manifest.entries}
        with self._lock:
            model = self._models.setdefault(name, _Model())
            for number, held in sorted(model.versions.items()):
                if held.digest == manifest.digest:
                    return Committed(name, number, held.digest)
            self._log.append(name)
            number = model.add(_Held(manifest.digest, manifest.to_bytes(), files))
            return Committed(name, number, manifest.digest)

    def aliases(self, name: str | None = None) -> Iterator[Alias]:
        """Every alias, by model and name."""
        with self._lock:
            found = [
                Alias(model, alias, version)
                for (model, alias), version in sorted(self._aliases.items())
                if name in (None, model)
            ]
        return iter(found)

    def point(self, name: str, alias: str, version: int | None) -> None:
        """Set, move or remove an alias."""
        with self._lock:
            if version is None:
                if self._aliases.pop((name, alias), None) is None:
                    raise NotFound(f"{name} has no alias {alias!r}")
            else:
                self._held(Committed(name, version, ""))
                self._aliases[name, alias] = version
            self._log.append(name)

    def changes(self, since: str) -> Changes:
        """Exactly the models that changed; a token of another store asks for everything."""
        store, _, count = since.partition(":")
        with self._lock:
            complete = store != self._id
            names = set(self._models if complete else self._log[int(count) :])
            versions = tuple(it for it in self.versions() if it.name in names)
            aliases = tuple(it for it in self.aliases() if it.name in names)
            token = f"{self._id}:{len(self._log)}"
        return Changes(token, versions, complete, tuple(sorted(names)), aliases)

    def foreign(self, version: Committed) -> Foreign:
        """What was told when it was registered."""
        return self._held(version).told or Foreign()

    def files(self, version: Committed) -> list[tuple[str, int]]:
        """Every file, with its size."""
        files = sorted(self._held(version).files.items())
        return [(path, len(self._blobs[digest])) for path, digest in files]

    def adopt(self, version: Committed, manifest: Manifest, card: bytes) -> Committed:
        """Give a registered version a card and a manifest."""
        with self._lock:
            held = self._held(version)
            if held.told is None:
                raise StoreError(f"{version.name}@{version.version} was published with its card")
            check_adoption(version, manifest, card, self.files(version))
            digest = hash_bytes(card)
            self._blobs[digest] = card
            self._models[version.name].versions[version.version] = replace(
                held,
                digest=manifest.digest,
                manifest=manifest.to_bytes(),
                files={**held.files, CARD_FILE: digest},
            )
            self._log.append(version.name)
        return Committed(version.name, version.version, manifest.digest)

    def delete(self, version: Committed) -> None:
        """Forget a version; its number stays taken."""
        with self._lock:
            self._held(version)
            del self._models[version.name].versions[version.version]
            gone = (version.name, version.version)
            self._aliases = {k: n for k, n in self._aliases.items() if (k[0], n) != gone}
            self._log.append(version.name)

    def register(self, name: str, files: Mapping[str, bytes], told: Foreign) -> Committed:
        """Put a version there as somebody without a catalog would: no card, no manifest."""
        with self._lock:
            paths = {path: hash_bytes(data) for path, data in files.items()}
            self._blobs |= {hash_bytes(data): data for data in files.values()}
            number = self._models.setdefault(name, _Model()).add(_Held("", b"", paths, told))
            self._log.append(name)
        return Committed(name, number, "")

    def _held(self, version: Committed) -> _Held:
        with self._lock:
            model = self._models.get(version.name, _Model())
            try:
                return model.versions[version.version]
            except KeyError as exc:
                ref = f"{version.name}@{version.version}"
                raise NotFound(f"no version {ref} in this store") from exc


def open_store(uri: str) -> MemoryStore:
    """Open a new, empty store; `uri` is `memory:`."""
    del uri
    return MemoryStore()
