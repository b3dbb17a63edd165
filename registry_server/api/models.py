"""Finding and showing: what `catalog search`, `show` and `alias` do."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version as installed_version
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from catalog import index as indexed
from catalog.aliases import as_dict as alias_dict
from catalog.aliases import assign, remove
from catalog.errors import NotFound
from catalog.index.present import as_dict
from catalog.index.query import parse_energy, parse_particle
from catalog.showcase import describe
from catalog.stores import Alias
from registry_server.api import shapes
from registry_server.api.answers import answer, answer_text, compact, cursor_of, place_of
from registry_server.api.parameters import told, told_by
from registry_server.api.registry import Registry, committed, registry_of
from registry_server.auth.door import caller_of

router = APIRouter()
Name = Annotated[str, Path(max_length=250, description="Name of the model.")]
VersionText = Annotated[
    str, Path(max_length=300, description="Number, alias, or digest (at least 6 hex digits).")
]
StoreName = Annotated[
    str | None, Query(max_length=200, description="Name of the store; the usual one if absent.")
]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]


@router.get("/", response_model=shapes.About)
def about(request: Request) -> Response:
    """This server, and who it takes you for."""
    caller, settings = caller_of(request), registry_of(request).settings
    value = {
        "name": "hep-model-catalog",
        "version": installed_version("hep-model-catalog"),
        "caller": caller.name,
        "role": caller.role,
        "store": settings.store,
        "protected": sorted(settings.protected),
    }
    return answer(request, value)


@router.get("/models", response_model=shapes.Models, openapi_extra=told_by(shapes.Search))
async def list_models(request: Request) -> Response:
    """Find models."""
    asked = told(request, shapes.Search)
    start = place_of(asked.cursor)
    query = indexed.Query(
        text=asked.q, detector=asked.detector, material=asked.material,
        particle=parse_particle(asked.particle) if asked.particle else None,
        energy_gev=parse_energy(asked.energy) if asked.energy else None,
        task=asked.task, family=asked.family, licence=asked.licence, validated=asked.validated,
        store=asked.store, gone=asked.gone, limit=asked.limit, skip=start,
    )  # fmt: skip
    page = partial(_page, registry_of(request), query)
    # One more at a time than there are cores would only make all of them wait for each other.
    total, found = await run_sync(page, limiter=request.app.state.searching)
    after = start + len(found)
    following = cursor_of(after) if found and after < total else None
    exact = total <= query.counted
    value = {"total": total, "total_is_exact": exact, "models": [], "next": following}
    return answer_text(request, compact(value).replace("[]", f"[{','.join(found)}]", 1))


@router.get("/models/{name}", response_model=shapes.ModelPage)
def get_model(request: Request, name: Name, store: StoreName = None) -> Response:
    """One model: its newest version, and which others there are."""
    registry = registry_of(request)
    where = registry.store_name(store)
    with registry.index() as index:
        rows = [it for it in _all(index, name, where) if not it.gone]
        if not rows:
            raise NotFound(f"no model {name!r} in the store {where!r}", "GET /api/v1/models")
        value = {
            "name": name,
            "newest": as_dict(rows[0], index.places(rows[0])),
            "versions": sorted(it.version for it in rows),
            "aliases": sorted({alias for it in rows for alias in it.aliases}),
            "owner": registry.owners.of(where, name),
        }
    return answer(request, value)


@router.get("/models/{name}/versions", response_model=shapes.Models)
def list_versions(
    request: Request, name: Name, store: StoreName = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The versions of a model, newest first."""
    registry, start = registry_of(request), place_of(cursor)
    where = registry.store_name(store)
    with registry.index() as index:
        rows = [it for it in _all(index, name, where) if not it.gone]
        rows.sort(key=lambda it: -it.version)
        if not rows:
            raise NotFound(f"no model {name!r} in the store {where!r}", "GET /api/v1/models")
        shown = rows[start : start + limit]
        page = [as_dict(*it) for it in zip(shown, index.all_places(shown), strict=True)]
    following = cursor_of(start + limit) if start + limit < len(rows) else None
    return answer(request, {"total": len(rows), "total_is_exact": True, "models": page,
                            "next": following})  # fmt: skip


@router.get("/models/{name}/versions/{version}", response_model=shapes.Version)
def get_version(
    request: Request, name: Name, version: VersionText, store: StoreName = None
) -> Response:
    """Everything about one version, also of one that was deleted."""
    return answer(request, _described(registry_of(request), name, version, store))


@router.get("/models/{name}/versions/{version}/card", response_model=dict)
def get_card(
    request: Request, name: Name, version: VersionText, store: StoreName = None
) -> Response:
    """The card alone."""
    value = _described(registry_of(request), name, version, store)
    if value["card"] is None:
        raise NotFound(f"{value['ref']} has no card", f"catalog annotate {value['ref']} CARD.yaml")
    return answer(request, value["card"])


@router.get("/models/{name}/aliases", response_model=shapes.Aliases)
def list_aliases(request: Request, name: Name, store: StoreName = None) -> Response:
    """The aliases of a model, as its store has them now."""
    registry = registry_of(request)
    where = registry.store_name(store)
    _known(registry, name, where)
    return answer(request, _aliases(registry, name, where))


@router.put("/models/{name}/aliases/{alias}", response_model=shapes.Aliases)
def set_alias(
    request: Request, name: Name, alias: str, body: shapes.AliasTo, store: StoreName = None
) -> Response:
    """Make an alias mean a version; a protected one only if the version has earned it."""
    registry = registry_of(request)
    where = registry.store_name(store)
    row = registry.there(name, str(body.version), where)
    registry.owners.check(caller_of(request), where, name, exists=True)
    with registry.index() as index:
        opened, protected = registry.open_store(where), registry.settings.protected
        assign(committed(row), alias, opened, where, index, protected)
    return answer(request, _aliases(registry, name, where))


@router.delete("/models/{name}/aliases/{alias}", response_model=shapes.Aliases)
def remove_alias(request: Request, name: Name, alias: str, store: StoreName = None) -> Response:
    """Remove an alias; the version stays."""
    registry = registry_of(request)
    where = registry.store_name(store)
    _known(registry, name, where)
    registry.owners.check(caller_of(request), where, name, exists=True)
    with registry.index() as index:
        remove(name, alias, registry.open_store(where), where, index)
    return answer(request, _aliases(registry, name, where))


@router.get("/models/{name}/owner", response_model=shapes.Owner)
def get_owner(request: Request, name: Name, store: StoreName = None) -> Response:
    """Who may publish versions of a model."""
    registry = registry_of(request)
    where = registry.store_name(store)
    return answer(request, {"name": name, "owner": registry.owners.of(where, name)})


@router.put("/models/{name}/owner", response_model=shapes.Owner)
def set_owner(
    request: Request, name: Name, body: shapes.OwnerTo, store: StoreName = None
) -> Response:
    """Give a model to somebody else."""
    registry = registry_of(request)
    where = registry.store_name(store)
    _known(registry, name, where)
    registry.owners.give(where, name, body.owner)
    return answer(request, {"name": name, "owner": body.owner})


def _page(registry: Registry, query: indexed.Query) -> tuple[int, list[str]]:
    with registry.index() as index:
        return index.page(query, registry.settings.store)


def _described(registry: Registry, name: str, version: str, store: str | None) -> dict[str, object]:
    where = registry.store_name(store)
    row = registry.row(name, version, where)
    with registry.index() as index:
        return describe(committed(row), index, where, registry.settings.store)


def _aliases(registry: Registry, name: str, store: str) -> dict[str, object]:
    found: list[Alias] = list(registry.open_store(store).aliases(name))
    return alias_dict(name, found, registry.settings.protected)


def _known(registry: Registry, name: str, store: str) -> None:
    with registry.index() as index:
        if not _all(index, name, store):
            raise NotFound(f"no model {name!r} in the store {store!r}", "GET /api/v1/models")


def _all(index: indexed.Index, name: str, store: str) -> list[indexed.Row]:
    return index.lookup(name, store=store, version=None, digest=None)
