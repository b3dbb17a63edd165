"""Model versions: list them, find one by its digest, create one exactly once."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.errors import CatalogError, NotFound, StoreError, UsageError
from catalog.manifest import is_digest
from catalog.stores.protocol import Committed
from catalog_mlflow._edge import Edge, Transient, is_already_there
from catalog_mlflow._staging import MANIFEST_TAG

ADOPTED = "catalog.adopted/"  # of tags that hold a card given to somebody else's version
COMMIT_TAG = "catalog.commit"
_PAGE = 1000
_ATTEMPTS = 8
_TEXT = 5000  # the narrowest column of MLflow's databases


@dataclass(frozen=True)
class Draft:
    """A model version about to be created."""

    name: str
    digest: str
    source: str
    run_id: str
    summary: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Located:
    """A version, where MLflow says its files are, and what its own record tells."""

    version: Committed
    run_id: str
    uri: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def list_versions(client: Any, edge: Edge, name: str | None = None) -> list[Located]:
    """Every visible version, by name and number.

    Of two versions of one model with the same digest the lower number is the version; the other
    is what a lost race left behind for a moment, or for good if its process was killed.
    """
    clause = None if name is None else f"name = {_quoted(name)}"
    return visible(search(client, edge, clause))


def visible(rows: Iterable[Any]) -> list[Located]:
    """Those of MLflow's rows that are versions, by name and number."""
    found = [_located(row, row.source) for row in rows]
    seen: set[tuple[str, str]] = set()
    kept = []
    for located in sorted(found, key=lambda it: (it.version.name, it.version.version)):
        key = (located.version.name, located.version.digest)
        if located.version.digest and key in seen and not is_adopted(located):
            continue
        seen.add(key)
        kept.append(located)
    return kept


def newest(client: Any, edge: Edge, page: int) -> Iterator[Any]:
    """MLflow's rows of versions, the one that changed last first."""
    return edge.paged(client.search_model_versions, max_results=page)


def is_adopted(located: Located) -> bool:
    """Whether it is somebody else's version with a card of ours."""
    return any(key.startswith(ADOPTED) for key in located.tags)


def find_version(client: Any, edge: Edge, name: str, digest: str) -> Committed | None:
    """The version of this model with this digest: the lowest, should there be several."""
    clause = f"name = {_quoted(name)} AND tags.`{MANIFEST_TAG}` = '{digest}'"
    numbers = [int(row.version) for row in search(client, edge, clause)]
    return Committed(name, min(numbers), digest) if numbers else None


def locate(client: Any, edge: Edge, version: Committed) -> Located:
    """Where the files of one version are; also of one that MLflow copied to another name.

    Raises
    ------
    NotFound
    """
    number = str(version.version)
    try:
        row = edge.call(client.get_model_version, version.name, number)
        uri = edge.call(client.get_model_version_download_uri, version.name, number)
    except NotFound as exc:
        raise NotFound(
            f"no version {version.name}@{number} in this store", f"catalog show {version.name}"
        ) from exc
    return _located(row, uri)


def create_version(client: Any, edge: Edge, draft: Draft) -> Committed:
    """Create the version with the next number; of several processes at it, one wins."""
    _create_model(client, edge, draft.name)
    nonce = uuid.uuid4().hex
    _create(client, edge, draft, nonce)
    return _settle(client, edge, draft, nonce)


def _create_model(client: Any, edge: Edge, name: str) -> None:
    try:
        edge.once(client.create_registered_model, name)
    except CatalogError as exc:
        if not is_already_there(exc):
            raise


def _create(client: Any, edge: Edge, draft: Draft, nonce: str) -> None:
    """Create it, again and again: MLflow gives up after three lost races for a number."""
    tags = {key: _cut(value) for key, value in draft.tags.items()}
    tags |= {MANIFEST_TAG: draft.digest, COMMIT_TAG: nonce}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            edge.once(
                client.create_model_version,
                draft.name,
                draft.source,
                run_id=draft.run_id,
                tags=tags,
                description=_cut(draft.summary),
                await_creation_for=0,
            )
        except Transient:
            # Perhaps it was created and only the answer was lost.
            if find_version(client, edge, draft.name, draft.digest):
                return
            if attempt == _ATTEMPTS:
                raise
            time.sleep(random.random() * 0.05 * 2**attempt)  # noqa: S311
        else:
            return


def _settle(client: Any, edge: Edge, draft: Draft, nonce: str) -> Committed:
    """The winner; if another process was first, take back what this one created."""
    clause = f"name = {_quoted(draft.name)} AND tags.`{MANIFEST_TAG}` = '{draft.digest}'"
    rows = sorted(search(client, edge, clause), key=lambda row: int(row.version))
    if not rows:
        raise StoreError(f"{draft.name}: the version vanished right after its creation")
    for row in rows[1:]:
        if row.tags.get(COMMIT_TAG) == nonce:
            _take_back(client, edge, draft.name, str(row.version), nonce)
    return Committed(draft.name, int(rows[0].version), draft.digest)


def _take_back(client: Any, edge: Edge, name: str, number: str, nonce: str) -> None:
    """Delete a duplicate that this process has just created, and surely no other version.

    Only its creator deletes a duplicate: were others to help, the second deletion could hit a
    new version that got the number meanwhile. One that stays is hidden by `list_versions`.
    """
    try:
        row = edge.call(client.get_model_version, name, number)
        if row.tags.get(COMMIT_TAG) == nonce:
            edge.once(client.delete_model_version, name, number)
    except CatalogError:
        return


def search(client: Any, edge: Edge, clause: str | None) -> list[Any]:
    """MLflow's rows of all versions that match a clause of its filter language."""
    return list(edge.paged(client.search_model_versions, clause, max_results=_PAGE))


def _located(row: Any, uri: Any) -> Located:
    digest = str(row.tags.get(MANIFEST_TAG, ""))
    digest = digest if is_digest(digest) else ""
    return Located(
        Committed(row.name, int(row.version), digest), str(row.run_id or ""), str(uri or ""),
        str(row.description or ""), {str(key): str(value) for key, value in row.tags.items()},
    )  # fmt: skip


def is_quotable(name: str) -> bool:
    """Whether MLflow's filter language can say this name."""
    return not ("'" in name and '"' in name)


def _quoted(name: str) -> str:
    """A name as MLflow's filter language wants it; it knows no escapes."""
    for quote in ("'", '"'):
        if quote not in name:
            return f"{quote}{name}{quote}"
    raise UsageError(f"a model name cannot hold both kinds of quotes: {name[:100]!r}")


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 3]}..."
