"""What the store suites publish, read, break and kill."""

from __future__ import annotations

import hashlib
import io
import threading
from pathlib import Path

from catalog.manifest import Entry, Manifest
from catalog.stores.protocol import Changes, Committed, Foreign, Store

FILES = {
    "card.yaml": b"name: shower\n",
    "empty.bin": b"",
    "model.onnx": bytes(range(256)) * 5000,
    "plots/response.txt": b"a plot",
}


def manifest_of(files: dict[str, bytes]) -> Manifest:
    entries = [
        Entry(path, len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
        for path, data in sorted(files.items())
    ]
    return Manifest(tuple(entries))


def numbered(number: int) -> dict[str, bytes]:
    return FILES | {"card.yaml": b"seed: %d\n" % number}


def upload_all(store: Store, name: str, files: dict[str, bytes]) -> Manifest:
    manifest = manifest_of(files)
    for entry in store.missing(name, manifest):
        store.upload(name, manifest, entry, io.BytesIO(files[entry.path]))
    return manifest


def publish(store: Store, name: str, files: dict[str, bytes]) -> Committed:
    manifest = upload_all(store, name, files)
    return store.commit(name, manifest, "a fast shower model", {"task": "shower"})


def read_file(store: Store, version: Committed, entry: Entry) -> bytes:
    with store.open_file(version, entry) as file:
        return file.read()


def open_path(store: Store, version: Committed, path: str) -> bytes:
    """A file of a version without a manifest: only its path is known."""
    return read_file(store, version, Entry(path, 0, ""))


def adopted_by(version: Committed, store: Store, card: bytes) -> Manifest:
    """The manifest that gives a version of somebody else this card."""
    files = {path: open_path(store, version, path) for path, _ in store.files(version)}
    return manifest_of(files | {"card.yaml": card})


def of_names(changes: Changes, *names: str) -> list[Committed]:
    return [version for version in changes.versions if version.name in names]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


CARD = b"name: shower\nsummary: " + "π".encode() * 3000 + b"\n"
TOLD = Foreign(description="found on a disk", tags={"owner": "somebody else"})
WEIGHTS = {"data/weights.bin": bytes(range(256)) * 500, "model.pkl": b"\x80\x04N."}


class KilledError(Exception):
    """The process dies here."""


class DyingSource(io.RawIOBase):
    """A file whose process is killed half-way."""

    def __init__(self, data: bytes) -> None:
        self._half = io.BytesIO(data[: len(data) // 2])

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._half.read(size)
        if not data:
            raise KilledError
        return data


LARGE = 300_000_000  # bytes


def sparse_folder(folder: Path, size: int) -> None:
    """A card, and one large file: a hole, but for marks at both ends and in between."""
    folder.mkdir()
    (folder / "card.yaml").write_bytes(CARD)
    with (folder / "weights.bin").open("wb") as file:
        for at in (0, size // 3, size - 6):
            file.seek(at)
            file.write(b"mark%02d" % (at % 97))


class SippedFile(io.FileIO):
    """A file that nobody may ask for much of at once."""

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 <= size <= 1 << 24, f"read({size}) of a large file"
        return super().read(size)


def in_threads(jobs: list) -> list:
    results: list = [None] * len(jobs)

    def work(number: int) -> None:
        try:
            results[number] = jobs[number]()
        except Exception as exc:
            results[number] = exc

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
