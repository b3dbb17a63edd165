"""A store with one version in it, whose bytes can be changed behind its back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catalog.index import open_index
from catalog.manifest import MANIFEST_FILE, parse_manifest
from catalog.publish import publish
from catalog.settings import Settings
from catalog.stores import Committed
from catalog.stores.memory import MemoryStore


def silent(*_: object) -> None:
    """Say nothing, tell nothing."""


@dataclass
class Shelf:
    """`read` and `write` go past the store; `write` with None removes a file."""

    store: Any
    name: str
    version: Committed
    read: Callable[[str], bytes]
    write: Callable[[str, bytes | None], None]

    def paths(self) -> list[str]:
        entries = parse_manifest(self.read(MANIFEST_FILE), "store").entries
        return [MANIFEST_FILE, *(entry.path for entry in entries if entry.size)]

    def flip(self, path: str, place: int, bit: int) -> bytes:
        """Change one bit; the bytes as they were."""
        data = self.read(path)
        self.write(path, data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :])
        return data


def put_on_shelf(folder: Path, store: Any, store_name: str, settings: Settings) -> Shelf:
    """Publish a folder to a memory store or an embedded MLflow registry."""
    with open_index(settings.home) as index:
        version = publish(folder, store, store_name, index, silent).version
    access = _memory if isinstance(store, MemoryStore) else _files
    return Shelf(store, store_name, version, *access(store, version))


def _memory(store: Any, version: Committed) -> tuple[Any, Any]:
    versions = store._models[version.name].versions

    def read(path: str) -> bytes:
        held = versions[version.version]
        return held.manifest if path == MANIFEST_FILE else store._blobs[held.files[path]]

    def write(path: str, data: bytes | None) -> None:
        held = versions[version.version]
        if path == MANIFEST_FILE:
            versions[version.version] = replace(held, manifest=data or b"")
        elif data is None:
            del store._blobs[held.files[path]]
        else:
            store._blobs[held.files[path]] = data

    return read, write


def _files(store: Any, version: Committed) -> tuple[Any, Any]:
    root = store._folder(version)._root

    def write(path: str, data: bytes | None) -> None:
        if data is None:
            (root / path).unlink()
        else:
            (root / path).write_bytes(data)

    return lambda path: (root / path).read_bytes(), write
