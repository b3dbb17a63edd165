"""Publishing over HTTP: begin with the manifest, send what is missing, commit.

POST   /uploads                       the manifest; which bytes are missing
PUT    /uploads/ID/files/DIGEST?offset=N    bytes from N on; broken off, ask where to go on
GET    /uploads/ID                    how much of each file is here
POST   /uploads/ID/commit             gate, then one step that makes the version visible
DELETE /uploads/ID                    leave it
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from catalog.errors import NotFound
from catalog.manifest import Entry
from registry_server.api import shapes
from registry_server.api.answers import answer
from registry_server.api.commit import commit, exists
from registry_server.api.intake import expect, pieces
from registry_server.api.registry import Registry, registry_of
from registry_server.api.uploads import Upload, Uploads
from registry_server.auth.door import caller_of
from registry_server.errors import Busy

router = APIRouter()
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Digest = Annotated[str, Path(pattern=r"^sha256:[0-9a-f]{64}$")]
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": shapes.Error}}
_PUT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_WRONG_PLACE: dict[int | str, dict[str, Any]] = {
    **_CONFLICT,
    415: {"model": shapes.Error},
    416: {"model": shapes.Error},
}


@router.post("/uploads", response_model=shapes.Upload, status_code=201)
def start_upload(request: Request, body: shapes.Begin) -> Response:
    """Begin to publish a version: tell its files, learn where to send them."""
    registry, caller = registry_of(request), caller_of(request)
    where = registry.settings.store
    registry.owners.check(caller, where, body.name, exists=exists(registry, where, body.name))
    entries = [Entry(it.path, it.size, it.digest) for it in body.files]
    upload = uploads_of(registry).begin(caller, body.name, entries)
    return JSONResponse(_told(registry, upload), 201)


@router.get("/uploads/{upload}", response_model=shapes.Upload, responses=_CONFLICT)
def get_upload(request: Request, upload: Id) -> Response:
    """How much of each file is here."""
    registry = registry_of(request)
    return answer(request, _told(registry, uploads_of(registry).get(caller_of(request), upload)))


@router.put(
    "/uploads/{upload}/files/{digest}", response_model=shapes.Part, openapi_extra=_PUT,
    responses=_WRONG_PLACE,
)  # fmt: skip
async def put_bytes(
    request: Request,
    upload: Id,
    digest: Digest,
    offset: Annotated[int, Query(ge=0, le=1 << 40, description="Of the first byte sent.")] = 0,
) -> Response:
    """Send bytes of a file, from `offset` on. What arrived before a break is kept."""
    registry = registry_of(request)
    uploads = uploads_of(registry)
    found = await asyncio.to_thread(uploads.get, caller_of(request), upload)
    entry = next((it for it in found.manifest.entries if it.digest == digest), None)
    if entry is None:
        raise NotFound("the manifest of this upload has no such file", "GET /api/v1/uploads/ID")
    expect(request, max(0, entry.size - offset))
    file = await asyncio.to_thread(uploads.begin_part, found, entry, offset)
    try:
        async for piece in pieces(request):
            await asyncio.to_thread(_write, file, piece, offset)
            offset += len(piece)
    finally:
        os.close(file)
    await asyncio.to_thread(uploads.finish_part, found, entry)
    return JSONResponse(_part(uploads, found, entry))


@router.post("/uploads/{upload}/commit", response_model=shapes.Published, responses=_CONFLICT)
def commit_upload(request: Request, upload: Id) -> Response:
    """Check the version and make it visible, in one step. Asked again, the answer is the same."""
    registry, caller = registry_of(request), caller_of(request)
    uploads = uploads_of(registry)
    return JSONResponse(commit(registry, uploads, uploads.get(caller, upload), caller))


@router.delete("/uploads/{upload}", status_code=204, responses=_CONFLICT)
def drop_upload(request: Request, upload: Id) -> Response:
    """Leave an upload; a version that it made stays."""
    uploads = uploads_of(registry_of(request))
    uploads.drop(uploads.get(caller_of(request), upload))
    return Response(None, 204)


def uploads_of(registry: Registry) -> Uploads:
    """The uploads below the server's home."""
    return Uploads(registry.database, registry.settings.home, registry.bounds)


def _write(file: int, piece: bytes, offset: int) -> None:
    view = memoryview(piece)
    try:
        while view:
            count = os.pwrite(file, view, offset)
            view, offset = view[count:], offset + count
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Busy("the server has no room for that now", "try again later") from exc


def _told(registry: Registry, upload: Upload) -> dict[str, Any]:
    uploads = uploads_of(registry)
    entries = {entry.digest: entry for entry in upload.manifest.entries}.values()
    return {
        "id": upload.id,
        "name": upload.model,
        "files": [_part(uploads, upload, entry) for entry in entries],
        "published": upload.published,
    }


def _part(uploads: Uploads, upload: Upload, entry: Entry) -> dict[str, Any]:
    size, complete = uploads.here(upload, entry)
    return {"digest": entry.digest, "size": entry.size, "offset": size, "complete": complete}
