"""A registry as a store: `registry+https://host` reads and publishes through its /api/v1.

The server checks what is published once more, and numbers it; summary and tags are those of the
card that it reads itself. What somebody else put into the store behind it is listed, and annotated
there (`catalog --registry URL annotate`); nothing is deleted through it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, NoReturn

from catalog.domain import TensorSpec
from catalog.errors import NotFound, StoreError, UsageError
from catalog.manifest import Entry, Manifest
from catalog.remote.blob import open_blob
from catalog.remote.client import Client, pages, part
from catalog.remote.connect import about, client_of
from catalog.remote.send import check, send
from catalog.stores.protocol import Alias, Changes, Committed, Foreign
from catalog.stores.secret import Secret

_GATE = 900.0  # seconds: the server runs the model before it makes it visible


class RegistryStore:
    """One store of a registry; its usual one if none is named. Safe for threads."""

    def __init__(self, client: Client, name: str = "") -> None:
        self.address = client.place.url
        self._client, self._told = client, name
        self._lock = threading.Lock()
        self._uploads: dict[tuple[str, str], str] = {}  # (name, digest) to id
        self._files: dict[Committed, frozenset[Entry]] = {}

    def versions(self, name: str | None = None) -> Iterator[Committed]:
        """Every version that the registry lists, by name and number."""
        try:
            rows = list(self._rows(name))
        except NotFound:
            return iter(())
        found = [Committed(str(it["name"]), int(it["version"]), str(it["digest"])) for it in rows]
        return iter(sorted(found, key=lambda it: (it.name, it.version)))

    def manifest(self, version: Committed) -> bytes:
        """The manifest's bytes, made again from the list of files."""
        told = self._client.json("GET", f"{_path(version)}/files", self._here)
        try:
            entries = [Entry(str(f["path"]), int(f["size"]), str(f["digest"]))
                       for f in told["files"]]  # fmt: skip
        except (KeyError, TypeError, ValueError) as exc:
            raise self._nonsense() from exc
        self._files[version] = frozenset(entries)
        return Manifest(tuple(sorted(entries, key=lambda it: it.path))).to_bytes()

    def open_file(self, version: Committed, entry: Entry) -> AbstractContextManager[BinaryIO]:
        """Open one file for reading; a connection that breaks is continued where it was."""
        if version not in self._files:
            self.manifest(version)  # which also lets its files be fetched
        if entry not in self._files[version]:
            raise NotFound(f"{version.name}@{version.version}: no file {entry.path}")
        return open_blob(self._client, entry)

    def missing(self, name: str, manifest: Manifest) -> list[Entry]:
        """Files that the registry does not have yet.

        Of a version that it has and whose bytes were lost, all: its gate wants to see them.
        """
        if self._committed(name, manifest):
            told = self._client.json(
                "GET", f"/models/{part(name)}/versions/{manifest.digest}/missing", self._here
            )
            if not told["paths"]:
                return []
        upload = self._upload(name, manifest)
        there = {it["digest"] for it in self._state(upload)["files"] if it["complete"]}
        return [entry for entry in manifest.entries if entry.digest not in there]

    def upload(self, name: str, manifest: Manifest, entry: Entry, source: BinaryIO) -> None:
        """Send one file; what arrived of it before stays there."""
        if (name, manifest.digest) not in self._uploads and self._committed(name, manifest):
            check(source, entry)  # it has them all: only what it was given is looked at
        else:
            send(self._client, self._upload(name, manifest), entry, source)

    def commit(
        self, name: str, manifest: Manifest, summary: str, tags: dict[str, str]
    ) -> Committed:
        """Have the version checked and made visible; asked again, the answer is the same."""
        key = (name, manifest.digest)
        if key not in self._uploads and (done := self._committed(name, manifest)):
            return done
        upload = self._upload(name, manifest)
        told = self._client.json("POST", f"/uploads/{upload}/commit", again=True, patience=_GATE)
        with self._lock:
            self._uploads.pop(key, None)
        return Committed(name, int(told["version"]), manifest.digest)

    def aliases(self, name: str | None = None) -> Iterator[Alias]:
        """Every alias: of one model as its store has them now, of all as the registry lists."""
        try:
            if name is None:
                return iter(sorted(_aliases(self._rows(None)), key=lambda it: (it.name, it.alias)))
            told = self._client.json("GET", f"/models/{part(name)}/aliases", self._here)
        except NotFound:
            return iter(())
        return iter([Alias(name, str(it["alias"]), int(it["version"])) for it in told["aliases"]])

    def point(self, name: str, alias: str, version: int | None) -> None:
        """Set, move or remove an alias; the registry sees whether a protected one is earned."""
        path = f"/models/{part(name)}/aliases/{part(alias)}"
        if version is None:
            self._client.json("DELETE", path, self._here)
        else:
            self._client.json("PUT", path, self._here, {"version": version})

    def changes(self, since: str) -> Changes:
        """Everything: a registry does not tell what changed."""
        rows = list(self._rows(None))
        found = [Committed(str(it["name"]), int(it["version"]), str(it["digest"])) for it in rows]
        names = tuple(sorted({it.name for it in found}))
        return Changes("", tuple(found), True, names, tuple(_aliases(rows)))

    def foreign(self, version: Committed) -> Foreign:
        """What the registry tells of a version without a card."""
        told = self._client.json("GET", _path(version), self._here)["told"] or {}
        return Foreign(
            str(told.get("framework", "")), str(told.get("description", "")),
            _specs(told.get("inputs", ()), "feature"),
            _specs(told.get("outputs", ()), "prediction"), dict(told.get("tags", {})),
        )  # fmt: skip

    def files(self, version: Committed) -> list[tuple[str, int]]:
        """Refused: the registry annotates where the files are."""
        self._only_there(version, "annotate")

    def adopt(self, version: Committed, manifest: Manifest, card: bytes) -> Committed:
        """Refused: the registry annotates where the files are."""
        self._only_there(version, "annotate")

    def delete(self, version: Committed) -> None:
        """Refused: nothing is deleted through a registry."""
        raise UsageError(f"{self.address} deletes nothing", "delete it in the store behind it")

    def _only_there(self, version: Committed, verb: str) -> NoReturn:
        ref = f"{version.name}@{version.version}"
        raise UsageError(
            f"{self.address} keeps the files of {ref}, which has no card, to itself",
            f"catalog --registry {self.address} {verb} {ref} CARD.yaml",
        )

    @property
    def _here(self) -> dict[str, object]:
        return {"store": self._told or about(self._client).store}

    def _rows(self, name: str | None) -> Iterator[dict[str, Any]]:
        """Versions as `search --json` tells them, page by page."""
        path = "/models" if name is None else f"/models/{part(name)}/versions"
        for page in pages(self._client, path, self._here):
            yield from page["models"]

    def _committed(self, name: str, manifest: Manifest) -> Committed | None:
        return next((it for it in self.versions(name) if it.digest == manifest.digest), None)

    def _upload(self, name: str, manifest: Manifest) -> str:
        """The id of our open upload of a version: an earlier one goes on."""
        with self._lock:
            key = (name, manifest.digest)
            if key not in self._uploads:
                usual = about(self._client).store
                if self._told not in ("", usual):
                    raise UsageError(
                        f"{self.address} publishes to its usual store, {usual}, only",
                        "leave --store out",
                    )
                query = {"name": name, "digest": manifest.digest}
                found = self._client.json("GET", "/uploads", query)["uploads"]
                self._uploads[key] = found[0] if found else self._begin(name, manifest)
            return self._uploads[key]

    def _begin(self, name: str, manifest: Manifest) -> str:
        files = [{"path": it.path, "size": it.size, "digest": it.digest}
                 for it in manifest.entries]  # fmt: skip
        told = self._client.json("POST", "/uploads", body={"name": name, "files": files})
        return str(told["id"])

    def _state(self, upload: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.json("GET", f"/uploads/{upload}")
        return found

    def _nonsense(self) -> StoreError:
        return StoreError(f"{self.address} answers what a registry does not", "is it an older one?")


def open_store(uri: str, secret: Secret | None = None) -> RegistryStore:
    """Open the usual store of `registry+https://host`; nothing is contacted yet.

    Raises
    ------
    UsageError
    """
    return RegistryStore(client_of(uri, secret))


def _path(version: Committed) -> str:
    return f"/models/{part(version.name)}/versions/{version.version}"


def _aliases(rows: Any) -> list[Alias]:
    return [
        Alias(str(it["name"]), str(alias), int(it["version"]))
        for it in rows
        for alias in it["aliases"]
    ]


def _specs(told: Any, role: Any) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=it["name"], dtype=it["dtype"], shape=tuple(it["shape"]), role=role)
        for it in told
    )
