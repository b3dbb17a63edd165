"""Digest and Manifest: what a version *is*.

A manifest lists the files of a version with size and SHA-256. The digest of the manifest's
canonical bytes is the identity of the version, wherever it lies.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from catalog.errors import BadFile, DigestMismatch
from catalog.streams import CHUNK, Hasher, Sink

MANIFEST_FILE = "manifest.json"
MAX_MANIFEST = 4_000_000  # bytes
_AT_ONCE = 4  # files hashed side by side
_PATH = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class Entry:
    """One file of a version; `digest` is `sha256:<hex>`."""

    path: str
    size: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """The files of one version, sorted by path."""

    entries: tuple[Entry, ...]

    def to_bytes(self) -> bytes:
        """Canonical bytes: the same files give the same bytes on any machine."""
        files = [{"path": e.path, "size": e.size, "digest": e.digest} for e in self.entries]
        document = {"schema_version": 1, "files": files}
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """The identity of the version: `sha256:<hex>` of the canonical bytes."""
        return hash_bytes(self.to_bytes())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)


def check_path(path: str) -> str:
    """Refuse a path that could leave its folder or surprise a file system.

    Raises
    ------
    BadFile
    """
    if len(path) > 200 or not _PATH.fullmatch(path):
        raise BadFile(
            f"file name {path[:200]!r} is not allowed in a version",
            "use letters, digits, '.', '_', '-' and '/', no leading dot, no '..'",
        )
    return path


def is_digest(text: str) -> bool:
    """Whether a text is `sha256:` and 64 hex digits."""
    return _DIGEST.fullmatch(text) is not None


def check_digest(text: str) -> str:
    """Return the digest if it is well-formed.

    Raises
    ------
    BadFile
    """
    if not is_digest(text):
        raise BadFile(f"not a digest: {text[:80]!r} (expected sha256: and 64 hex digits)")
    return text


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest from a store.

    Raises
    ------
    BadFile
        Malformed, non-canonical, or with paths that are not safe.
    """
    try:
        document = json.loads(data[: MAX_MANIFEST + 1])
        entries = [
            Entry(check_path(str(f["path"])), int(f["size"]), check_digest(str(f["digest"])))
            for f in document["files"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise BadFile(f"{where}: not a manifest: {exc}") from exc
    manifest = _sorted(entries)
    if manifest.to_bytes() != data:
        raise BadFile(f"{where}: not a canonical manifest")
    return manifest


def build_manifest(folder: Path) -> Manifest:
    """Hash every file of a version folder.

    Symbolic links, pipes and other special files are refused, so that what is hashed is what is
    published. A manifest.json left by an earlier publish is not part of itself.
    """
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadFile(f"{path}: only plain files can be published, not links or pipes")
        if path.is_file() and relative != MANIFEST_FILE:
            files.append((path, check_path(relative)))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return _sorted(pool.map(_entry, files))


def _entry(file: tuple[Path, str]) -> Entry:
    path, relative = file
    with path.open("rb") as source:
        digest, size = hash_stream(source)
    return Entry(relative, size, digest)


def hash_stream(file: BinaryIO) -> tuple[str, int]:
    """Digest and size of what is left of a binary file."""
    size = 0
    with Hasher() as hasher:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            size += len(chunk)
        return hasher.digest(), size


def hash_bytes(data: bytes) -> str:
    """The digest of some bytes: `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def copy_verified(source: BinaryIO, target: Sink, entry: Entry) -> None:
    """Copy exactly the bytes that `entry` promises; never more than its size.

    Raises
    ------
    DigestMismatch
    """
    size = 0
    with Hasher() as hasher:
        while chunk := source.read(min(CHUNK, entry.size - size + 1)):
            size += len(chunk)
            if size > entry.size:
                break
            hasher.update(chunk)
            target.write(chunk)
        found = hasher.digest()
    if size != entry.size or found != entry.digest:
        raise DigestMismatch(
            f"{entry.path}: expected {entry.size} bytes {entry.digest[:19]}..., "
            f"got {'more' if size > entry.size else size} bytes {found[:19]}...",
            "the store's copy is damaged: publish the version again, or pull from another store",
        )


def _sorted(entries: Iterable[Entry]) -> Manifest:
    ordered = tuple(sorted(entries, key=lambda entry: entry.path))
    if len({entry.path.lower() for entry in ordered}) != len(ordered):
        raise BadFile("two files of the version differ only in case, or appear twice")
    paths = {entry.path.lower() for entry in ordered}
    for path in paths:
        if any(path[:at] in paths for at, char in enumerate(path) if char == "/"):
            raise BadFile(f"{path}: what is a folder here is a file of the version, too")
    return Manifest(ordered)
