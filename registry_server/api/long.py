"""Long work as jobs: ask for it, follow it, cancel it. And what was recorded of earlier work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from catalog.adapt.log import read_log
from catalog.errors import Unreachable
from catalog.store_check import list_stores
from registry_server.api import shapes
from registry_server.api.answers import answer, cursor_of, place_of
from registry_server.api.errors import TooMany
from registry_server.api.intake import expect, pieces
from registry_server.api.jobs import OVER, Jobs, jobs_of, new_id
from registry_server.api.models import Cursor, Limit
from registry_server.api.open import full_is_busy, need_room
from registry_server.api.registry import registry_of
from registry_server.api.work import job_file
from registry_server.auth.caller import Caller, Unknown
from registry_server.auth.door import ask_again, caller_of

router = APIRouter()
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
_LOOK = 0.5  # seconds between two looks at a job that is followed
_FOLLOWED = 16  # jobs at once by one caller, of one process
_BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "A job as JSON, whenever it changes, until it is over.",
          "content": {"text/event-stream": {"schema": {"type": "string"}}}},
}  # fmt: skip
_UNCOMPRESSED: dict[int | str, dict[str, Any]] = {415: {"model": shapes.Error}}


@router.get("/stores", response_model=shapes.Stores)
def get_stores(request: Request) -> Response:
    """The stores that this server knows by name; none is contacted."""
    registry = registry_of(request)
    with registry.index() as index:
        listed = list_stores(registry.settings, index)
    keys = shapes.Store.model_fields
    stores = [{key: it[key] for key in keys} for it in listed]  # addresses are not for readers
    return answer(request, {"stores": stores})


@router.get("/runs", response_model=shapes.Runs)
def list_runs(request: Request, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Recorded adaptations, the earliest first: what recommendations rest on."""
    start = place_of(cursor)
    records = read_log(registry_of(request).settings.home)
    page = [asdict(it) for it in records[start : start + limit]]
    following = cursor_of(start + limit) if start + limit < len(records) else None
    return answer(request, {"runs": page, "next": following})


@router.post("/sync", response_model=shapes.Job, status_code=202)
def start_sync(request: Request, body: shapes.SyncOf) -> Response:
    """Bring the index up to date with the stores: a job."""
    registry, caller = registry_of(request), caller_of(request)
    store = registry.store_name(body.store) if body.store else None
    jobs = jobs_of(registry)
    return _accepted(jobs, caller, jobs.add(caller, "sync", {"store": store, "full": body.full}))


@router.post(
    "/recommend", response_model=shapes.Job, status_code=202, openapi_extra=_BYTES,
    responses=_UNCOMPRESSED,
)  # fmt: skip
async def start_recommend(
    request: Request,
    showers: Annotated[int, Query(ge=1, le=1_000_000, description="To adapt on.")] = 300,
    models: Annotated[int, Query(ge=1, le=50, description="To run.")] = 8,
    seed: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """Rank models for your showers: send the HDF5 file. It is deleted when the job is over."""
    registry, caller = registry_of(request), caller_of(request)
    jobs, name = jobs_of(registry), new_id()
    expect(request, registry.bounds.showers)
    size = int(request.headers.get("content-length", registry.bounds.showers))
    file, bodies = job_file(registry.settings.home, name), request.app.state.bodies
    left = await asyncio.to_thread(jobs.left, caller)
    with bodies.one(caller.name, left, jobs.too_many(), size):
        try:
            await _keep(request, file, bodies.bytes)
            asked = {"showers": showers, "models": models, "seed": seed}
            await asyncio.to_thread(jobs.add, caller, "recommend", asked, name)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
    return await asyncio.to_thread(_accepted, jobs, caller, name)


@router.get("/jobs", response_model=shapes.Jobs)
def list_jobs(request: Request, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Your jobs, the latest first; all of them for an admin."""
    start = place_of(cursor)
    found = jobs_of(registry_of(request)).some(caller_of(request), start, limit + 1)
    following = cursor_of(start + limit) if len(found) > limit else None
    return answer(request, {"jobs": found[:limit], "next": following})


@router.get("/jobs/{job}", response_model=shapes.Job)
def get_job(request: Request, job: Id) -> Response:
    """How far a job is, and what came of it."""
    return answer(request, jobs_of(registry_of(request)).get(caller_of(request), job))


@router.get("/jobs/{job}/events", response_class=StreamingResponse, responses=_EVENTS)
async def follow_job(request: Request, job: Id) -> Response:
    """Server-sent events: the job, whenever it changes, until it is over."""
    jobs, caller = jobs_of(registry_of(request)), caller_of(request)
    first = await asyncio.to_thread(jobs.get, caller, job)
    return _Followed(request, caller, _events(request.scope, jobs, caller, first))


class _Followed(StreamingResponse):
    """Events, counted from the request until the last of them."""

    def __init__(self, request: Request, caller: Caller, events: AsyncIterator[str]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, 200, headers, "text/event-stream")
        self._open, self._caller = request.app.state.followers, caller.name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = TooMany("you follow too many jobs", "ask now and then: GET /api/v1/jobs/ID")
        with self._open.one(self._caller, _FOLLOWED, refusal):
            await super().__call__(scope, receive, send)


@router.post("/jobs/{job}/cancel", response_model=shapes.Job)
def cancel_job(request: Request, job: Id) -> Response:
    """End a job; one that is over stays as it is."""
    jobs, caller = jobs_of(registry_of(request)), caller_of(request)
    jobs.get(caller, job)
    jobs.cancel(job)
    return answer(request, jobs.get(caller, job))


async def _events(
    scope: Scope, jobs: Jobs, caller: Caller, value: dict[str, Any]
) -> AsyncIterator[str]:
    said, quiet = "", 0.0
    while True:
        text = json.dumps(value)
        if text != said:
            said, quiet = text, 0.0
            yield f"event: job\ndata: {text}\n\n"
        elif quiet > 15:
            quiet = 0.0
            yield ": still here\n\n"  # so that no proxy takes the line for dead
        if value["state"] in OVER:
            return
        await asyncio.sleep(_LOOK)
        quiet += _LOOK
        try:
            await ask_again(scope)
        except (Unknown, Unreachable):
            return
        with suppress(Unreachable):  # the database restarts: the job goes on where it was
            value = await asyncio.to_thread(jobs.get, caller, value["id"])


async def _keep(request: Request, path: FilePath, size: int) -> None:
    """Write a body into a file, if there is room for all that is being written."""
    with full_is_busy():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        need_room(path.parent, size)
        with path.open("xb") as file:
            async for piece in pieces(request):
                await asyncio.to_thread(file.write, piece)


def _accepted(jobs: Jobs, caller: Caller, name: str) -> Response:
    headers = {"location": f"/api/v1/jobs/{name}"}
    return JSONResponse(jobs.get(caller, name), 202, headers)
