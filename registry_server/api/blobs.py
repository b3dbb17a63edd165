"""The files of a version: their list, and the bytes of each by digest."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from catalog.errors import CatalogError, NotFound
from catalog.manifest import Entry, hash_stream
from catalog.pull import fetch_blob, read_manifest
from catalog.stores import Committed
from registry_server.api import shapes
from registry_server.api.answers import answer, has
from registry_server.api.models import Name, StoreName, VersionText
from registry_server.api.registry import Registry, committed, registry_of

router = APIRouter()
_one_at_a_time = threading.Lock()
_BYTES: dict[str, Any] = {
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
}
_REMEMBER = (
    "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET "
    "path = excluded.path, size = excluded.size, store = excluded.store, name = excluded.name, "
    "version = excluded.version, manifest = excluded.manifest"
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes.", **_BYTES},
    206: {"description": "The bytes asked for by Range.", **_BYTES},
    304: {"description": "The client has them."},
    416: {"description": "There are no such bytes.", "model": shapes.Error},
}


@router.get("/models/{name}/versions/{version}/files", response_model=shapes.Files)
def list_files(
    request: Request, name: Name, version: VersionText, store: StoreName = None
) -> Response:
    """The manifest of a version. From now on its files can be fetched by digest."""
    registry = registry_of(request)
    where = registry.store_name(store)
    row = registry.there(name, version, where)
    if not row.digest:
        raise NotFound(f"{row.ref} has no manifest", f"catalog annotate {row.ref} CARD.yaml")
    manifest = read_manifest(registry.open_store(where), committed(row))
    with registry.database.transaction("files") as db:
        for e in manifest.entries:
            of = (e.digest, e.path, e.size, where, row.name, row.version, row.digest)
            db.run(_REMEMBER, *of)
    files = [
        {"path": e.path, "size": e.size, "digest": e.digest, "url": f"/api/v1/blobs/{e.digest}"}
        for e in manifest.entries
    ]
    value = {"ref": row.ref, "digest": row.digest, "size": manifest.size, "files": files}
    return answer(request, value)


@router.get("/blobs/{digest}", response_class=FileResponse, responses=_RESPONSES)
def get_blob(
    request: Request,
    digest: Annotated[str, Path(pattern=r"^sha256:[0-9a-f]{64}$", description="Of a file.")],
) -> Response:
    """The bytes of a file that belongs to a version; Range continues a broken download."""
    registry = registry_of(request)
    entry, version, store = _belongs(registry, digest)
    etag = f'"{digest}"'
    headers = {"etag": etag, "cache-control": "private, max-age=31536000, immutable"}
    if has(request, etag):
        return Response(None, 304, headers)
    blob = fetch_blob(entry, registry.open_store(store), version, registry.settings.cache)
    status = blob.stat()
    if _digest_of(str(blob), status.st_mtime_ns, status.st_size) != digest:
        blob.unlink(missing_ok=True)  # it rotted in the cache: fetched again, it is verified
        blob = fetch_blob(entry, registry.open_store(store), version, registry.settings.cache)
        status = blob.stat()
    _check_range(request, etag, status.st_size)
    return FileResponse(blob, 200, headers, "application/octet-stream", stat_result=status)


def _belongs(registry: Registry, digest: str) -> tuple[Entry, Committed, str]:
    """The file, the version it belongs to and its store; only if that version is still there."""
    found = registry.database.rows("SELECT * FROM files WHERE digest = ?", digest)
    if found:
        it = found[0]
        with registry.index() as index:
            rows = index.lookup(
                it["name"], store=it["store"], version=it["version"], digest=it["manifest"]
            )
        if rows and not rows[0].gone:
            return Entry(it["path"], it["size"], digest), committed(rows[0]), it["store"]
    raise NotFound(
        f"no file {digest[:19]}... of a listed version",
        "list the files of its version first: GET /api/v1/models/NAME/versions/N/files",
    )


@lru_cache(maxsize=10_000)
def _digest_of(path: str, _changed: int, _size: int) -> str:
    """What is in the cache, hashed once for as long as it is not written to."""
    with _one_at_a_time:
        try:
            with FilePath(path).open("rb") as file:
                return hash_stream(file)[0]
        except OSError as exc:
            raise CatalogError(f"{path}: {os.strerror(exc.errno or 0)}") from exc


def _check_range(request: Request, etag: str, size: int) -> None:
    """Forget a Range that is malformed or of several parts, which a server may ignore.

    Raises
    ------
    HTTPException
        There are no such bytes.
    """
    ranges = request.headers.getlist("range")
    if len(ranges) != 1 or not _is_one_range(ranges[0]):
        kept = [it for it in request.scope["headers"] if it[0] != b"range"]
        request.scope["headers"] = kept
        return
    low = ranges[0].partition("=")[2].partition("-")[0]
    last = ranges[0].partition("-")[2]
    if request.headers.get("if-range", etag) == etag and (
        int(low) >= size if low else int(last) == 0
    ):
        told = {"content-range": f"bytes */{size}"}
        raise HTTPException(416, f"the file has {size} bytes", told)


def _is_one_range(text: str) -> bool:
    unit, _, span = text.partition("=")
    low, dash, high = span.partition("-")
    digits = all(it.isascii() and it.isdigit() and len(it) < 19 for it in (low, high) if it)
    backwards = bool(low and high and digits and int(high) < int(low))
    return unit.strip() == "bytes" and bool(dash and (low or high)) and digits and not backwards
