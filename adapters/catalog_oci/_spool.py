"""Where a version's files wait until they are sent as one artifact: a folder of this machine.

A file is there complete, hashed on its way in and named for its digest and CRC-32, or not at all.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
import uuid
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from catalog.errors import StoreError
from catalog.manifest import MANIFEST_FILE, Entry, Manifest, copy_verified
from catalog.streams import Flushing, Sink
from catalog_oci._zip import Member

_STALE = 7 * 86_400  # seconds after which a publish that never ended is forgotten
_TORN = 3600  # and what a killed copy left
_DONE = re.compile(r"^([0-9a-f]{64})-([0-9a-f]{8})$")


class Spool:
    """The files of one version of one model of one store."""

    def __init__(self, root: Path, place: str, name: str, manifest: Manifest) -> None:
        key = hashlib.sha256(f"{place}\n{name}\n{manifest.digest}".encode()).hexdigest()
        self._root = root
        self._folder = root / key
        self._manifest = manifest

    def missing(self) -> list[Entry]:
        """The files that are not here yet."""
        kept = self._kept()
        return [entry for entry in self._manifest.entries if self._find(kept, entry) is None]

    def put(self, entry: Entry, source: BinaryIO) -> None:
        """Copy, hash, flush to the disk, rename.

        Raises
        ------
        DigestMismatch, StoreError
        """
        temp = self._root / f".{uuid.uuid4().hex}.part"
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with temp.open("xb") as file:
                flushing = Flushing(file)
                sink = _Summing(flushing)
                copy_verified(source, sink, entry)
                flushing.sync()
            self._move(temp, f"{_hex(entry)}-{sink.crc:08x}")
        except OSError as exc:
            raise StoreError(
                f"{self._folder}: {exc.strerror or exc}",
                "is the disk full? files wait there until they are sent; choose another disk: "
                "CATALOG_CACHE",
            ) from exc
        finally:
            temp.unlink(missing_ok=True)

    def members(self) -> list[Member]:
        """What goes into the artifact, small files last: a look at its end finds them all."""
        kept = self._kept()
        members = []
        for entry in self._manifest.entries:
            path = self._find(kept, entry)
            if path is None:
                raise StoreError(f"{entry.path} was never uploaded", "publish again: it resumes")
            members.append(Member(entry.path, entry.size, int(path.name[-8:], 16), path))
        data = self._manifest.to_bytes()
        members.append(Member(MANIFEST_FILE, len(data), zlib.crc32(data), data))
        return sorted(members, key=lambda member: (-member.size, member.name))

    def remove(self) -> None:
        """Forget these files, and those of publishes that were given up long ago."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):
            for path in self._root.iterdir():
                age = time.time() - path.stat().st_mtime
                if path.is_dir() and age > _STALE:
                    shutil.rmtree(path, ignore_errors=True)
                elif path.suffix == ".part" and age > _TORN:
                    path.unlink(missing_ok=True)

    def _move(self, temp: Path, name: str) -> None:
        for _ in range(3):  # another process may have committed this version and removed the folder
            self._folder.mkdir(exist_ok=True, mode=0o700)
            with suppress(FileNotFoundError):
                temp.replace(self._folder / name)
                return

    def _kept(self) -> dict[str, Path]:
        try:
            return {found[1]: p for p in self._folder.iterdir() if (found := _DONE.match(p.name))}
        except OSError:
            return {}

    def _find(self, kept: dict[str, Path], entry: Entry) -> Path | None:
        path = kept.get(_hex(entry))
        with suppress(OSError):
            if path and path.stat().st_size == entry.size:
                return path
        return None


class _Summing:
    """Writes through, and keeps the CRC-32 that a zip needs before the bytes."""

    def __init__(self, file: Sink) -> None:
        self._file = file
        self.crc = 0

    def write(self, data: bytes) -> int:
        self.crc = zlib.crc32(data, self.crc)
        return self._file.write(data)


def _hex(entry: Entry) -> str:
    return entry.digest.removeprefix("sha256:")
