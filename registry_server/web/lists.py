"""Runs and jobs; stores and how old what is known of them is."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from catalog.adapt.log import read_log
from catalog.errors import UsageError
from catalog.store_check import list_stores
from registry_server.api.jobs import OVER, jobs_of
from registry_server.api.registry import registry_of
from registry_server.auth.door import caller_of
from registry_server.web.forms import read_form
from registry_server.web.render import page

router = APIRouter()
_ROWS = 50  # recorded runs of one page, and jobs


@router.get("/runs", name="page_runs")
def runs(request: Request) -> Response:
    """Recorded adaptations, the latest first, and what this server is doing for whoever asks."""
    registry = registry_of(request)
    number = request.query_params.get("page", "1")
    if not (number.isascii() and number.isdigit() and 0 < int(number[:9]) < 1_000_000):
        raise UsageError(f"no page {number[:20]!r}", "begin with the first one")
    start = _ROWS * (int(number) - 1)
    records = [asdict(it) for it in read_log(registry.settings.home)][::-1]
    jobs = [_dated(it) for it in jobs_of(registry).some(caller_of(request), 0, _ROWS)]
    return page(
        request.scope, "runs.html", records=records[start : start + _ROWS], total=len(records),
        number=int(number), pages=-(-len(records) // _ROWS), jobs=jobs, over=OVER,
        waiting=any(it["state"] not in OVER for it in jobs),
    )  # fmt: skip


@router.get("/stores", name="page_stores")
def stores(request: Request) -> Response:
    """The stores by name; none is contacted, and their addresses are not for readers."""
    registry, caller = registry_of(request), caller_of(request)
    with registry.index() as index:
        listed = list_stores(registry.settings, index)
    return page(request.scope, "stores.html", stores=listed, may_sync=caller.may("admin"))


@router.post("/stores/sync", name="page_stores_sync")
async def sync(request: Request) -> Response:
    """Bring what is known of one store, or of all, up to date: a job."""
    fields, registry = await read_form(request), registry_of(request)
    store = registry.store_name(fields["store"]) if fields.get("store") else None
    asked = {"store": store, "full": False}
    job = await run_in_threadpool(jobs_of(registry).add, caller_of(request), "sync", asked)
    return RedirectResponse(f"../fit/{job}", 303)


def _dated(job: dict[str, Any]) -> dict[str, Any]:
    when = datetime.fromtimestamp(job["created"], UTC)
    return {**job, "when": when.strftime("%Y-%m-%d %H:%M UTC")}
