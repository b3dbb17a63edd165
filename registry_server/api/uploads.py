"""Uploads, which nobody sees before they are committed: what is here of them, on disk."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from catalog.card import CARD_FILE
from catalog.errors import BadFile, CatalogError, CheckFailed, NotFound, UsageError
from catalog.manifest import Entry, Manifest, hash_stream, parse_manifest
from registry_server.api.errors import Conflict, NoRange, TooMany
from registry_server.api.registry import Bounds, place_of
from registry_server.auth.caller import Caller
from registry_server.database import Block, Database
from registry_server.errors import Busy, TooLarge

_SPARE = 1 << 30  # bytes of the disk that uploads leave free


@dataclass(frozen=True)
class Upload:
    """One version on its way; `published` is the answer to its commit, once there is one."""

    id: str
    caller: str
    model: str
    manifest: Manifest
    published: dict[str, Any] | None


class Uploads:
    """Parts of files under the digest they shall have; no client names a path.

    A file is complete when it has its size and was hashed; then its name has no `.part`.
    """

    def __init__(self, database: Database, home: Path, bounds: Bounds) -> None:
        self._database, self._home, self._bounds = database, home, bounds
        self.root = home / "uploads"

    def begin(self, caller: Caller, model: str, entries: list[Entry]) -> Upload:
        """Reserve room for a version.

        Raises
        ------
        UsageError, TooLarge, TooMany, Busy
        """
        manifest = manifest_of(entries)
        upload = Upload(secrets.token_hex(16), caller.name, model, manifest, None)
        sql = (
            "INSERT INTO uploads (id, caller, model, manifest, touched, place) "
            "VALUES (?, ?, ?, ?, ?, ?)"
        )
        text, place = manifest.to_bytes().decode(), place_of(self._home)
        with self._database.transaction("uploads") as db:  # or many at once would all find room
            self._room(db, caller, manifest.size)
            (self.root / upload.id).mkdir(parents=True, mode=0o700)
            db.run(sql, upload.id, caller.name, model, text, time.time(), place)
        return upload

    def get(self, caller: Caller, wanted: str) -> Upload:
        """An upload of this caller, or of anybody for an admin.

        Raises
        ------
        NotFound
            Also for the upload of somebody else: its very existence is none of the caller's
            business.
        Conflict
            Its bytes are at another server.
        """
        found = self._database.rows("SELECT * FROM uploads WHERE id = ?", wanted)
        if not found or not (found[0]["caller"] == caller.name or caller.may("admin")):
            raise _gone()
        it = found[0]
        if not it["result"] and it["place"] not in ("", place_of(self._home)):
            raise Conflict(
                "the bytes of this upload are at another server",
                "go on there, or begin anew here",
            )
        manifest = parse_manifest(it["manifest"].encode(), "upload")
        result = json.loads(it["result"]) if it["result"] else None
        return Upload(it["id"], it["caller"], it["model"], manifest, result)

    def here(self, upload: Upload, entry: Entry) -> tuple[int, bool]:
        """(bytes that are here, whether all are here and are the right ones)."""
        if upload.published or self.blob(upload, entry).is_file():
            return entry.size, True
        try:
            return min(self.part(upload, entry).stat().st_size, entry.size), False
        except OSError:  # not begun, or committed since it was looked up
            published = self._state(upload) == "published"
            return (entry.size, True) if published else (0, False)

    def begin_part(self, upload: Upload, entry: Entry, offset: int) -> int:
        """Open the part of a file for writing at `offset`; a file descriptor.

        Raises
        ------
        Conflict, NoRange
        """
        if upload.published:
            raise Conflict("the upload is committed")
        size, _ = self.here(upload, entry)
        if offset > size:
            raise NoRange(f"{size} bytes are here, and {offset} are not", f"go on at offset={size}")
        self.touch(upload)
        try:
            return os.open(self.part(upload, entry), os.O_WRONLY | os.O_CREAT, 0o600)
        except FileNotFoundError as exc:
            if self._state(upload) == "published":
                raise Conflict("the upload is committed") from exc
            raise _gone() from exc

    def finish_part(self, upload: Upload, entry: Entry) -> bool:
        """Hash a part that has its size; whether the file is complete.

        Raises
        ------
        CheckFailed
            The bytes are not those of the digest; they are dropped.
        NotFound
            The upload was left meanwhile.
        """
        part = self.part(upload, entry)
        size, complete = self.here(upload, entry)
        if complete or size < entry.size:
            return complete
        try:
            with part.open("rb") as file:
                digest, _ = hash_stream(file)
            if digest == entry.digest:
                part.replace(self.blob(upload, entry))
        except FileNotFoundError as exc:  # another request finished this file, or the upload
            if self.blob(upload, entry).is_file() or self._state(upload) == "published":
                return True
            raise _gone() from exc
        if digest != entry.digest:
            part.unlink(missing_ok=True)
            raise CheckFailed(entry.path, [f"its bytes are {digest}"], "send them from offset=0")
        self.touch(upload)
        return True

    def done(self, upload: Upload, published: dict[str, Any]) -> None:
        """Remember the answer, for a client that asks again, and drop the bytes."""
        sql = "UPDATE uploads SET result = ?, touched = ? WHERE id = ?"
        self._database.run(sql, json.dumps(published), time.time(), upload.id)
        self.tidy(upload)

    def tidy(self, upload: Upload) -> None:
        """Drop the bytes of an upload if it has ended.

        Every request that may have seen it end asks: whoever ended it could not remove a folder
        that another was still writing into.
        """
        if self._state(upload) != "open":
            shutil.rmtree(self.root / upload.id, ignore_errors=True)

    def drop(self, upload: Upload) -> None:
        """Forget an upload and its bytes."""
        self._database.run("DELETE FROM uploads WHERE id = ?", upload.id)
        self.tidy(upload)

    def touch(self, upload: Upload) -> None:
        """Keep it from the sweeper for another while."""
        self._database.run("UPDATE uploads SET touched = ? WHERE id = ?", time.time(), upload.id)

    def sweep(self) -> int:
        """Drop what nobody touched for long, and bytes of no upload; how many."""
        before = time.time() - self._bounds.keep
        self._database.run("DELETE FROM uploads WHERE touched < ?", before)
        known = {row["id"] for row in self._database.rows("SELECT id FROM uploads")}
        swept = 0
        for folder in self.root.iterdir() if self.root.is_dir() else ():
            # A folder is made just before its row; the young ones may be on their way.
            if folder.name not in known and _changed(folder) < time.time() - 60:
                shutil.rmtree(folder, ignore_errors=True)
                swept += 1
        return swept

    def blob(self, upload: Upload, entry: Entry) -> Path:
        """Where a complete file is."""
        return self.root / upload.id / entry.digest.removeprefix("sha256:")

    def part(self, upload: Upload, entry: Entry) -> Path:
        """Where what is here of a file is."""
        return self.blob(upload, entry).with_suffix(".part")

    def _state(self, upload: Upload) -> Literal["open", "published", "left"]:
        """What has become of it meanwhile."""
        rows = self._database.rows("SELECT result FROM uploads WHERE id = ?", upload.id)
        if not rows:
            return "left"
        return "published" if rows[0]["result"] else "open"

    def _room(self, db: Block, caller: Caller, size: int) -> None:
        bounds = self._bounds
        if size > bounds.version:
            raise TooLarge(f"{size} bytes are above the limit of {bounds.version} for a version")
        sql = "SELECT caller, manifest FROM uploads WHERE result IS NULL"
        sizes = [
            (row["caller"], parse_manifest(row["manifest"].encode(), "upload").size)
            for row in db.rows(sql)
        ]
        own = [it for who, it in sizes if who == caller.name]
        if len(own) >= bounds.uploads:
            raise TooMany(
                f"you have {bounds.uploads} uploads open",
                "commit one, or DELETE /api/v1/uploads/ID",
            )
        if own and sum(own) + size > bounds.staged // 2:  # the rest is for everybody else
            raise TooMany(
                "your open uploads hold half of the server's room",
                "commit one, or DELETE /api/v1/uploads/ID",
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            free = shutil.disk_usage(self.root).free
        except OSError as exc:
            raise CatalogError(f"{self.root}: {exc}") from exc
        if sum(it for _, it in sizes) + size > bounds.staged or free < size + _SPARE:
            raise Busy("the server has no room for that now", "try again later")


def manifest_of(entries: list[Entry]) -> Manifest:
    """The manifest that a client tells, with every name and digest checked.

    Raises
    ------
    UsageError
    """
    manifest = Manifest(tuple(sorted(entries, key=lambda entry: entry.path)))
    try:
        parsed = parse_manifest(manifest.to_bytes(), "files")
    except BadFile as exc:
        raise UsageError(exc.message, exc.hint) from exc
    if CARD_FILE not in {entry.path for entry in entries}:
        raise UsageError(
            f"there is no {CARD_FILE} among the files", "docs/publish.md tells what is"
        )
    sizes = {(entry.digest, entry.size) for entry in entries}
    if len({digest for digest, _ in sizes}) < len(sizes):
        raise UsageError("one digest has two sizes")
    return parsed


def _gone() -> NotFound:
    return NotFound("no such upload of yours", "begin one: POST /api/v1/uploads")


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()
