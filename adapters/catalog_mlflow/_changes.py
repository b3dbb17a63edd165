"""What changed in a registry since a token, without reading all of it.

MLflow moves a model's time when a version is created, deleted or changes stage, and a version's
time when its description changes. Nothing moves when an alias or a tag is set, or a whole model is
deleted or renamed. So every look also reads the next SLICE models by name and compares what it
finds with the token: these changes are noticed at once in a registry of at most SLICE models, and
within models / SLICE looks in a larger one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from catalog.errors import NotFound
from catalog.stores.protocol import Alias, Changes
from catalog_mlflow import _registry
from catalog_mlflow._aliases import aliases_of
from catalog_mlflow._edge import Edge

SLICE = 1000  # models; the most that MLflow gives at once
_PAGE = 100
_OVERLAP = 60_000  # ms; a time is taken before its row is visible, and two servers' clocks differ
_MANY = 300  # models; from here on one list of all versions is faster than a question for each


@dataclass
class _Token:
    """What was known after the last look.

    time : the newest one seen, ms
    page : where the next slice begins; round : how often all models have been gone through
    models : a mark of each model as last seen, and the round in which it was
    recent : versions changed within the overlap before `time`, with their times
    """

    time: int = 0
    page: str = ""
    round: int = 0
    models: dict[str, tuple[str, int]] = field(default_factory=dict)
    recent: dict[str, int] = field(default_factory=dict)

    def see(self, model: Any) -> bool:
        """Remember a model; whether it is not what it was."""
        name, mark = str(model.name), _mark(model)
        changed = self.models.get(name, ("", 0))[0] != mark
        self.models[name] = (mark, self.round)
        self.time = max(self.time, int(model.last_updated_timestamp or 0))
        return changed


def changes(client: Any, edge: Edge, since: str) -> tuple[Changes, list[_registry.Located]]:
    """What `Store.changes` promises, and where the files of the versions in it are."""
    known = _parse(since)
    if known is None:
        return _everything(client, edge)
    before = known.time
    models = {str(model.name): model for model in _recent_models(client, edge, before)}
    touched = _touched(client, edge, known, before)
    part = _slice(client, edge, known)
    models |= {str(model.name): model for model in part}
    names = {name for name, model in models.items() if known.see(model)} | touched
    gone = _lost(client, edge, known) if not known.page else set()
    names |= gone
    for name in sorted(names - gone - models.keys()):  # only a version of it changed
        try:
            models[name] = edge.call(client.get_registered_model, name)
        except NotFound:
            known.models.pop(name, None)
    if not known.page:
        known.round += 1
    found = _versions_of(client, edge, names - gone)
    aliases = [it for name in sorted(names - gone) for it in aliases_of(models.get(name))]
    return _answer(known, found, names, aliases, complete=False), found


def _everything(client: Any, edge: Edge) -> tuple[Changes, list[_registry.Located]]:
    """A first look. Models before versions: what changes between is told again next time."""
    token, aliases = _Token(), []
    for model in _models(client, edge, SLICE):
        token.see(model)
        aliases += aliases_of(model)
    token.round = 1
    rows = _registry.search(client, edge, None)
    token.time = max([token.time, *(_time(row) for row in rows)])
    token.recent = {_key(r): _time(r) for r in rows if _time(r) > token.time - _OVERLAP}
    found = _registry.visible(rows)
    names = token.models.keys() | {it.version.name for it in found}
    return _answer(token, found, names, aliases, complete=True), found


def _answer(
    token: _Token, found: list[_registry.Located], names: Iterable[str], aliases: list[Alias],
    *, complete: bool,
) -> Changes:  # fmt: skip
    ordered = sorted(aliases, key=lambda it: (it.name, it.alias))
    versions = tuple(it.version for it in found)
    text = json.dumps(asdict(token), separators=(",", ":"))
    return Changes(text, versions, complete, tuple(sorted(names)), tuple(ordered))


def _parse(since: str) -> _Token | None:
    """The token, if it is one of ours."""
    try:
        told = json.loads(since)
        return _Token(
            int(told["time"]), str(told["page"]), int(told["round"]),
            {str(name): (str(mark), int(seen)) for name, (mark, seen) in told["models"].items()},
            {str(key): int(time) for key, time in told["recent"].items()},
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _models(client: Any, edge: Edge, page: int, order: str | None = None) -> Iterator[Any]:
    order_by = [order] if order else None
    return edge.paged(client.search_registered_models, max_results=page, order_by=order_by)


def _recent_models(client: Any, edge: Edge, before: int) -> Iterator[Any]:
    for model in _models(client, edge, _PAGE, "last_updated_timestamp DESC"):
        if int(model.last_updated_timestamp or 0) < before - _OVERLAP:
            return
        yield model


def _touched(client: Any, edge: Edge, known: _Token, before: int) -> set[str]:
    """Models of versions whose own time moved."""
    rows = []
    for row in _registry.newest(client, edge, _PAGE):
        if _time(row) < before - _OVERLAP:
            break
        rows.append(row)
    known.time = max([known.time, *(_time(row) for row in rows)])
    names = {str(row.name) for row in rows if known.recent.get(_key(row)) != _time(row)}
    known.recent = {_key(r): _time(r) for r in rows if _time(r) > known.time - _OVERLAP}
    return names


def _slice(client: Any, edge: Edge, known: _Token) -> list[Any]:
    """The next models by name; beyond the last one a new round begins."""
    found = edge.call(
        client.search_registered_models, max_results=SLICE, page_token=known.page or None
    )
    token = found.token or ""  # bytes where MLflow works in this process
    known.page = token.decode() if isinstance(token, bytes) else str(token)
    return list(found)


def _lost(client: Any, edge: Edge, known: _Token) -> set[str]:
    """Models that a whole round did not meet, and that are gone when asked for."""
    lost = set()
    for name in [name for name, (_, seen) in known.models.items() if seen < known.round]:
        try:
            known.see(edge.call(client.get_registered_model, name))
        except NotFound:
            del known.models[name]
            lost.add(name)
    return lost


def _versions_of(client: Any, edge: Edge, names: set[str]) -> list[_registry.Located]:
    if len(names) > _MANY or not all(_registry.is_quotable(name) for name in names):
        every = _registry.list_versions(client, edge)
        return [it for it in every if it.version.name in names]
    return [it for name in sorted(names) for it in _registry.list_versions(client, edge, name)]


def _mark(model: Any) -> str:
    told = [model.last_updated_timestamp, sorted(dict(model.aliases or {}).items())]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:12]


def _key(row: Any) -> str:
    return f"{row.name}/{row.version}"


def _time(row: Any) -> int:
    return int(row.last_updated_timestamp or 0)
