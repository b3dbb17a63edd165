"""The page of a model version, and several side by side."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from catalog.domain import Detector
from catalog.errors import CatalogError, NotFound, UsageError
from catalog.index import Index, Row
from catalog.refs import parse_ref
from catalog.showcase import describe
from registry_server.api.registry import Registry, committed, registry_of
from registry_server.web import drawings, profiles, snippets
from registry_server.web.contents import ROLES, Contents, read_contents
from registry_server.web.render import log_failure, page, root_of

router = APIRouter()
_ANCESTORS = 4
_DIFF_LINES = 4000  # of both cards together
_MOST = 4  # versions side by side


@router.get("/models/{name}", name="page_model")
def model(request: Request, name: str) -> Response:
    """The newest version of a model."""
    return _show(request, name, None)


@router.get("/models/{name}/{version}", name="page_version")
def version(request: Request, name: str, version: str) -> Response:
    """One version: a number, an alias or a digest."""
    return _show(request, name, version)


@router.get("/compare", name="page_compare")
def compare(request: Request) -> Response:
    """Two to four versions side by side."""
    refs = list(dict.fromkeys(it.strip() for it in request.query_params.getlist("ref") if it))
    registry, problem = registry_of(request), ""
    if not 2 <= len(refs) <= _MOST:
        problem = f"mark two to {_MOST} models to compare; you marked {len(refs)}"
        refs = []
    values = [_of_ref(registry, ref[:300]) for ref in refs]
    urls = [_url(it["name"], it["version"], it["store"], registry) for it in values]
    rows = snippets.compared(values)
    return page(request.scope, "compare.html", values=values, urls=urls, rows=rows, problem=problem)


def _show(request: Request, name: str, version: str | None) -> Response:
    registry, told = registry_of(request), request.query_params
    store = registry.store_name(told.get("store"))
    row = _row(registry, name, version, store)
    with registry.index() as index:
        value = describe(committed(row), index, store, registry.settings.store)
        chain = _chain(index, row, registry)
        found = index.lookup(name, store=row.store, version=None, digest=None)
        against = _against(found, told.get("against"))
        children = [
            _node(it, registry) for it in (index.children(row.digest) if row.digest else [])
        ]
    contents, problem = _contents(request, registry, row)
    card = value["card"]
    drawn = _stack(card)
    held = contents.validation if contents else None
    results = card.get("physics", []) if card else []
    of_gates = [it.model_dump() for it in held.gates] if held else [
        gate for result in results[:1] for gate in result.get("gates", [])
    ]  # fmt: skip
    return page(
        request.scope, "model.html", it=value, card=card, row=row, contents=contents,
        problem=problem, roles=ROLES, stack=drawn, results=results, validation=held,
        gates=drawings.gates(of_gates), plots=profiles.plots(contents.kept if contents else None),
        family=drawings.family(chain, children, root_of(request.scope)), chain=chain[:-1],
        children=children, against=against, diff=_diff(row, against),
        versions=sorted({it.version for it in found if not it.gone}, reverse=True),
        commands=snippets.commands(value, shlex.quote(value["ref"])),
        store_query=_store_query(row.store, registry),
        python=snippets.python(value), triton=snippets.triton(value, _host(request)),
    )  # fmt: skip


def _row(registry: Registry, name: str, version: str | None, store: str) -> Row:
    if version is not None:
        return registry.row(name, version, store)
    with registry.index() as index:
        rows = index.lookup(name, store=store, version=None, digest=None)
    if not rows:
        raise NotFound(f"no model {name[:100]!r} in the store {store!r}", "find one by its words")
    return rows[0]


def _of_ref(registry: Registry, ref: str) -> dict[str, Any]:
    wanted = parse_ref(ref)
    store = registry.store_name(wanted.store)
    said = wanted.version or wanted.alias or wanted.digest
    row = _row(registry, wanted.name, str(said) if said else None, store)
    with registry.index() as index:
        return describe(committed(row), index, store, registry.settings.store)


def _contents(request: Request, registry: Registry, row: Row) -> tuple[Contents | None, str]:
    """The files; why there are none to show."""
    if not row.digest:
        return None, "it was registered by other means, and has no manifest of its files"
    if row.gone:
        return None, f"it was deleted in its store, noticed on {row.gone}"
    try:
        return read_contents(registry, row.store, committed(row)), ""
    except CatalogError as exc:  # the card is in the index: shown whatever the store does
        log_failure(request, exc)
        return None, "the store does not give its files now; the server's log says why"


def _stack(card: dict[str, Any] | None) -> tuple[Any, Any] | None:
    if not card:
        return None
    try:
        return drawings.stack(Detector.model_validate(card["domain"]["detector"]))
    except ValidationError:
        return None


def _chain(index: Index, row: Row, registry: Registry) -> list[dict[str, str]]:
    """This version behind its ancestors, the oldest first."""
    found, at = [_node(row, registry)], row
    while at.parent and len(found) <= _ANCESTORS:
        rows = index.by_digest(at.parent)
        if not rows:
            said = json.loads(at.card)["lineage"]["parent_ref"] if at.card else at.parent[:19]
            found.insert(0, {"ref": str(said), "digest": at.parent, "url": ""})
            break
        at = rows[0]
        found.insert(0, _node(at, registry))
    return found


def _node(row: Row, registry: Registry) -> dict[str, str]:
    url = _url(row.name, row.version, row.store, registry)
    return {"ref": row.ref, "digest": row.digest, "url": url}


def _url(name: str, version: int, store: str, registry: Registry) -> str:
    return f"models/{quote(name, safe='')}/{version}{_store_query(store, registry)}"


def _store_query(store: str, registry: Registry) -> str:
    return "" if store == registry.settings.store else f"?store={quote(store, safe='')}"


def _against(found: Sequence[Row], said: str | None) -> Row | None:
    """The version whose card is compared with the one shown; None if none is asked for."""
    if said is None:
        return None
    other = [it for it in found if str(it.version) == said]
    if not other:
        raise UsageError(f"no version {said[:20]!r} to compare with", "choose one of its list")
    return other[0]


def _diff(row: Row, against: Row | None) -> list[tuple[str, str]]:
    """(kind, line) of what the other card says (-) and this one (+)."""
    if against is None:
        return []
    one, other = (_lines(it.card) for it in (against, row))
    if len(one) + len(other) > _DIFF_LINES:
        return [(" ", f"the cards are too long to compare here ({len(one) + len(other):,} lines)")]
    lines = list(difflib.unified_diff(one, other, against.ref, row.ref, lineterm="", n=2))
    return [(line[:1], line) for line in lines] or [(" ", "the cards are equal")]


def _lines(card: str) -> list[str]:
    return json.dumps(json.loads(card), indent=1, ensure_ascii=False).split("\n") if card else []


def _host(request: Request) -> str:
    return request.headers.get("host", "127.0.0.1:8000")
