"""A store in memory: for trying things out, and for tests instead of mocks."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from catalog.errors import NotFound, StoreError
from catalog.manifest import Entry, Manifest, copy_verified
from catalog.stores.protocol import Alias, Committed


class MemoryStore:
    """Versions that live as long as the process. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blobs: dict[str, bytes] = {}
        self._versions: dict[str, list[tuple[str, bytes]]] = {}
        self._aliases: dict[tuple[str, str], int] = {}

    def versions(self, name: str | None = None) -> Iterator[Committed]:
        """Every committed version, by name and number."""
        with self._lock:
            found = [
                Committed(model, number, digest)
                for model in sorted(self._versions)
                if name in (None, model)
                for number, (digest, _) in enumerate(self._versions[model], start=1)
            ]
        return iter(found)

    def manifest(self, version: Committed) -> bytes:
        """The manifest's bytes as committed."""
        with self._lock:
            entries = self._versions.get(version.name, [])
            if not 1 <= version.version <= len(entries):
                raise NotFound(f"no version {version.name}@{version.version} in this store")
            return entries[version.version - 1][1]

    def open_file(self, version: Committed, entry: Entry) -> AbstractContextManager[BinaryIO]:
        """Open one file for reading."""
        self.manifest(version)
        try:
            return io.BytesIO(self._blobs[entry.digest])
        except KeyError as exc:
            raise NotFound(f"{version.name}@{version.version}: no file {entry.path}") from exc

    def missing(self, name: str, manifest: Manifest) -> list[Entry]:
        """Files not uploaded yet, or whose bytes are not what they were."""
        with self._lock:
            kept = {e: self._blobs.get(e.digest) for e in manifest.entries}
        return [e for e, data in kept.items() if data is None or _digest(data) != e.digest]

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
        with self._lock:
            entries = self._versions.setdefault(name, [])
            for number, (digest, _) in enumerate(entries, start=1):
                if digest == manifest.digest:
                    return Committed(name, number, digest)
            entries.append((manifest.digest, manifest.to_bytes()))
            return Committed(name, len(entries), manifest.digest)

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
            elif not 1 <= version <= len(self._versions.get(name, [])):
                raise NotFound(f"no version {name}@{version} in this store")
            else:
                self._aliases[name, alias] = version


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def open_store(uri: str) -> MemoryStore:
    """Open a new, empty store; `uri` is `memory:`."""
    del uri
    return MemoryStore()
