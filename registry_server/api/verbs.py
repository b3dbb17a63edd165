"""What the command line asks on behalf of its verbs (`catalog --registry`), beside what all use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from catalog.adapt.log import Adaptation, append_log, read_log
from catalog.errors import BadFile, UsageError
from catalog.index.present import as_dict
from catalog.manifest import hash_bytes
from catalog.pull import read_manifest
from catalog.refs import prefix_of
from catalog.scoring.choose import choose
from catalog.scoring.sent import answer_of, asked_in
from registry_server.api import shapes
from registry_server.api import verb_shapes as told
from registry_server.api.answers import answer
from registry_server.api.jobs import jobs_of
from registry_server.api.models import Name, StoreName, VersionText
from registry_server.api.registry import Registry, committed, place_of, registry_of
from registry_server.auth.door import caller_of

router = APIRouter()
_Digest = Annotated[str | None, Query(pattern=r"^sha256:[0-9a-f]{6,64}$")]
_Whole = Annotated[str, Query(pattern=r"^sha256:[0-9a-f]{64}$", description="Of the version.")]
_Number = Annotated[int | None, Query(ge=1, le=999_999_999)]
_NameAsked = Annotated[str | None, Query(max_length=250)]
_NameWanted = Annotated[str, Query(max_length=250)]
_MOST = 1000  # rows
_RECORDS = TypeAdapter(list[Adaptation])


@router.get("/lookup", response_model=told.Found)
def look_up(
    request: Request, name: _NameAsked = None, store: StoreName = None, version: _Number = None,
    digest: _Digest = None,
) -> Response:  # fmt: skip
    """Versions of one model, or every place of one digest; also what was deleted."""
    registry = registry_of(request)
    where = registry.store_name(store) if store else None
    with registry.index() as index:
        if name is not None:
            rows = index.lookup(name, store=where, version=version, digest=digest)
        elif digest is not None and len(digest) == 71:
            rows = [it for it in index.by_digest(digest) if where in (None, it.store)]
        else:
            raise UsageError("look up what?", "name=NAME, or digest=sha256: and 64 hex digits")
        rows = rows[:_MOST]
        places = index.all_places(rows)
    usual = registry.settings.store
    found = [as_dict(*it) for it in zip(rows, places, strict=True)]
    for it in found:
        it["ref"] = f"{prefix_of(it['store'], usual, it['name'])}{it['name']}@{it['version']}"
    return answer(request, {"models": found})


@router.get("/names", response_model=told.Names)
def list_names(request: Request) -> Response:
    """Names of all models."""
    with registry_of(request).index() as index:
        return answer(request, {"names": sorted(index.names())})


@router.get("/uploads", response_model=told.OpenUploads)
def list_uploads(request: Request, name: _NameWanted, digest: _Whole) -> Response:
    """Your uploads of one version that are not committed: a killed publication goes on."""
    registry = registry_of(request)
    rows = registry.database.rows(
        "SELECT id, manifest FROM uploads WHERE caller = ? AND model = ? AND result IS NULL "
        "AND place IN ('', ?) ORDER BY touched DESC, id",
        caller_of(request).name, name, place_of(registry.settings.home),
    )  # fmt: skip
    found = [it["id"] for it in rows if hash_bytes(it["manifest"].encode()) == digest]
    return answer(request, {"uploads": found})


@router.get("/models/{name}/versions/{version}/missing", response_model=told.Absent)
def list_missing(
    request: Request, name: Name, version: VersionText, store: StoreName = None
) -> Response:
    """What its store has lost of a version, so that publishing it again mends it."""
    registry = registry_of(request)
    where = registry.store_name(store)
    opened, of = registry.open_store(where), committed(registry.there(name, version, where))
    missing = opened.missing(name, read_manifest(opened, of)) if of.digest else []
    return answer(request, {"paths": [entry.path for entry in missing]})


@router.post("/shortlist", response_model=told.Shortlist)
def make_shortlist(request: Request, body: told.Question) -> Response:
    """Which models to run for a target, by its fingerprint. No shower is sent, none is kept."""
    registry = registry_of(request)
    try:
        asked = asked_in(body.model_dump())
    except BadFile as exc:
        raise UsageError(exc.message, exc.hint) from exc
    with registry.index() as index:
        found = choose(asked, index, registry.settings.store, body.models)
    return answer(request, answer_of(found))


@router.post("/adaptations", response_model=told.Added)
def add_adaptations(request: Request, body: told.RecordsOf) -> Response:
    """Add recorded adaptations to those that recommendations here rest on."""
    home = registry_of(request).settings.home
    try:
        theirs = _RECORDS.validate_python(body.runs)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(it) for it in first["loc"])
        raise UsageError(f"runs.{where}: {first['msg']}"[:300]) from exc
    known = {record.key for record in read_log(home)}
    new = {record.key: record for record in theirs if record.key not in known}
    append_log(home, new.values())
    return JSONResponse({"added": len(new)})


@router.put(
    "/models/{name}/versions/{version}/card", response_model=shapes.Job, status_code=202
)  # fmt: skip
def put_card(
    request: Request, name: Name, version: VersionText, body: told.CardOf, store: StoreName = None
) -> Response:
    """Give a version that somebody else put into the store a card: a job, for it is hashed."""
    registry, caller = registry_of(request), caller_of(request)
    where = registry.store_name(store)
    row = registry.there(name, version, where)
    registry.owners.check(caller, where, name, exists=True)
    asked = {"name": row.name, "version": row.version, "digest": row.digest, "store": where}
    return _accepted(registry, request, "annotate", {**asked, "card": body.card})


@router.post("/verify", response_model=shapes.Job, status_code=202)
def start_verify(request: Request, body: told.VerifyOf) -> Response:
    """Read files in their store again and compare digests: a job."""
    registry = registry_of(request)
    where = registry.store_name(body.store)
    asked = {**body.model_dump(), "store": where, "digest": None}
    if body.name is not None:
        row = registry.there(body.name, str(body.version or ""), where)
        asked |= {"version": row.version, "digest": row.digest}
    return _accepted(registry, request, "verify", asked)


def _accepted(
    registry: Registry, request: Request, kind: str, asked: Mapping[str, Any]
) -> Response:
    jobs, caller = jobs_of(registry), caller_of(request)
    name = jobs.add(caller, kind, dict(asked))
    return JSONResponse(jobs.get(caller, name), 202, {"location": f"/api/v1/jobs/{name}"})
